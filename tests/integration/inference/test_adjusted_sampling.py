"""Bias, penalties, min_p and log probabilities, held against transformers and OpenAI's formula."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LogitsProcessorList, SequenceBiasLogitsProcessor
from transformers.generation import MinPLogitsWarper, RepetitionPenaltyLogitsProcessor

from adaptery_inference.engine import Choice, IncrementalText, SamplingParams, Sequence
from adaptery_inference.sampler import sample

VOCABULARY = 12
LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=VOCABULARY, max_size=VOCABULARY)
TOKENS = st.lists(st.integers(0, VOCABULARY - 1), max_size=8)


def choose(
    logits: torch.Tensor,
    params: SamplingParams,
    prompt: list[int],
    output: list[int] | None = None,
) -> Choice:
    row = Sequence("row", list(prompt), params, 1, IncrementalText(str))
    row.tokens += output or []
    return sample(logits[None], [row])[0]


def greedy(logits: torch.Tensor, prompt: list[int], output: list[int], **options: object) -> int:
    return choose(logits, SamplingParams(temperature=0, **options), prompt, output).token


def likeliest(scores: torch.Tensor) -> set[int]:
    """All tokens that rounding may make the likeliest."""
    return set(torch.nonzero(scores >= scores.max() - 1e-5).flatten().tolist())


@given(LOGITS, st.lists(st.integers(0, 11), min_size=1, max_size=6), TOKENS, st.floats(0.1, 10))
def test_the_repetition_penalty_is_that_of_transformers(
    values: list[float], prompt: list[int], output: list[int], penalty: float
) -> None:
    logits = torch.tensor(values)
    wanted = RepetitionPenaltyLogitsProcessor(penalty)(
        torch.tensor([prompt + output]), logits[None].clone()
    )[0]
    assert greedy(logits, prompt, output, repetition_penalty=penalty) in likeliest(wanted)


@given(LOGITS, st.dictionaries(st.integers(0, 11), st.floats(-100, 100).filter(bool), min_size=1))
def test_a_logit_bias_is_that_of_transformers(values: list[float], bias: dict[int, float]) -> None:
    logits = torch.tensor(values)
    processor = SequenceBiasLogitsProcessor([[[token], each] for token, each in bias.items()])
    wanted = LogitsProcessorList([processor])(torch.tensor([[0]]), logits[None].clone())[0]
    assert greedy(logits, [0], [], logit_bias=bias) in likeliest(wanted)


@given(LOGITS, TOKENS, TOKENS, st.floats(-2, 2), st.floats(-2, 2))
def test_frequency_and_presence_penalties_count_the_answer_only(
    values: list[float], prompt: list[int], output: list[int], frequency: float, presence: float
) -> None:
    counts = Counter(output)
    wanted = torch.tensor(
        [
            value - counts[token] * frequency - (presence if token in counts else 0)
            for token, value in enumerate(values)
        ]
    )
    found = greedy(
        torch.tensor(values),
        [0, *prompt],
        output,
        frequency_penalty=frequency,
        presence_penalty=presence,
    )
    assert found in likeliest(wanted)


def test_min_p_leaves_the_tokens_that_transformers_leaves() -> None:
    logits = torch.tensor([0.5, 0.25, 0.125, 0.0625, 0.0625]).log()
    wanted = MinPLogitsWarper(min_p=0.2)(torch.tensor([[0]]), logits[None].clone())[0]
    kept = set(torch.nonzero(wanted.isfinite()).flatten().tolist())
    drawn = {choose(logits, SamplingParams(min_p=0.2, seed=seed), [0]).token for seed in range(300)}
    assert drawn == kept == {0, 1, 2}


def test_a_bias_of_100_bans_a_token_or_makes_it_the_only_one() -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(0)) * 5
    best = int(logits.argmax())
    for seed in range(50):
        assert choose(logits, SamplingParams(seed=seed, logit_bias={7: 100}), [0]).token == 7
        banned = SamplingParams(seed=seed, logit_bias={best: -100}, temperature=0.1)
        assert choose(logits, banned, [0]).token != best


@given(LOGITS, st.integers(0, 20), st.floats(0, 2))
def test_log_probabilities_are_the_models_own(
    values: list[float], top: int, temperature: float
) -> None:
    logits = torch.tensor(values)
    params = SamplingParams(
        temperature=temperature, logprobs=top, logit_bias={3: 50}, repetition_penalty=2
    )
    choice = choose(logits, params, [1, 2])
    truth = logits.log_softmax(-1)
    assert choice.logprob is not None
    assert choice.logprob == pytest.approx(float(truth[choice.token]), abs=1e-5)
    assert len(choice.top) == min(top, VOCABULARY)
    assert [value for _, value in choice.top] == sorted((v for _, v in choice.top), reverse=True)
    assert sum(math.exp(value) for _, value in choice.top) <= 1 + 1e-5
    assert all(value == pytest.approx(float(truth[token]), abs=1e-5) for token, value in choice.top)


def test_a_row_is_changed_without_the_rows_beside_it() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0]] * 3)
    before = logits.clone()
    plain, biased = SamplingParams(temperature=0), SamplingParams(temperature=0, logit_bias={2: 9})
    rows = [
        Sequence(str(number), [0], params, 1, IncrementalText(str))
        for number, params in enumerate([plain, biased, plain])
    ]
    assert [choice.token for choice in sample(logits, rows)] == [0, 2, 0]
    assert torch.equal(logits, before)
    assert all(choice.logprob is None for choice in sample(logits, rows))

from collections import Counter
from collections.abc import Iterable

import torch

from adaptery_inference.engine import IncrementalText, SamplingParams, Sequence
from adaptery_inference.sampler import NUCLEUS_CANDIDATES
from adaptery_inference.sampler import sample as choose

PROBABILITIES = [0.5, 0.25, 0.125, 0.0625, 0.0625]
LOGITS = torch.tensor(PROBABILITIES).log()


def row(params: SamplingParams, position: int) -> Sequence:
    return Sequence("row", [0] * (position + 1), params, 1, IncrementalText(str))


def sample(
    logits: torch.Tensor, params: list[SamplingParams], positions: Iterable[int]
) -> list[int]:
    rows = [row(chosen, position) for chosen, position in zip(params, positions, strict=True)]
    return [choice.token for choice in choose(logits, rows)]


def draws(count: int = 400, **options: object) -> Counter[int]:
    params = SamplingParams(**options)
    rows = LOGITS.expand(count, -1)
    return Counter(sample(rows, [params] * count, range(count)))


def test_temperature_zero_and_one_candidate_are_greedy() -> None:
    assert set(draws(temperature=0)) == {0}
    assert set(draws(top_k=1)) == {0}


def test_draws_follow_the_probabilities() -> None:
    found = draws(4000)
    for token, probability in enumerate(PROBABILITIES):
        assert abs(found[token] / 4000 - probability) < 0.03


def test_temperature_flattens() -> None:
    assert draws(temperature=2)[0] < draws(temperature=1)[0] < draws(temperature=0.5)[0]


def test_top_k_and_top_p_leave_the_likeliest() -> None:
    assert set(draws(top_k=2)) == {0, 1}
    assert set(draws(top_p=0.6)) == {0, 1}
    assert set(draws(top_p=0.5)) == {0}
    assert set(draws(top_p=0.01)) == {0}
    assert set(draws(top_k=3, top_p=0.99)) == {0, 1, 2}


def test_a_nucleus_wider_than_the_first_candidates_is_whole() -> None:
    flat = torch.zeros(2000, 4 * NUCLEUS_CANDIDATES)
    found = sample(flat, [SamplingParams(top_p=0.9)] * 2000, range(2000))
    assert len(set(found)) > 2 * NUCLEUS_CANDIDATES


def test_a_seed_gives_the_same_token_whatever_is_beside_it() -> None:
    seeded, other = SamplingParams(seed=7), SamplingParams(seed=8)
    flat = torch.zeros(1, 10_000)
    alone = sample(flat, [seeded], [5])
    beside = sample(flat.expand(3, -1), [other, seeded, other], [1, 5, 9])
    assert alone[0] == beside[1]
    assert sample(flat, [seeded], [6]) != alone
    assert sample(flat, [other], [5]) != alone


def test_rows_of_one_step_are_sampled_each_in_its_own_way() -> None:
    params = [SamplingParams(temperature=0), SamplingParams(top_k=2, seed=3)]
    found = sample(LOGITS.expand(2, -1), params, [0, 0])
    assert found[0] == 0
    assert found[1] in (0, 1)

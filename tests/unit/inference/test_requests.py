import json

import pytest

from adaptery_inference.engine import SamplingParams
from adaptery_inference.errors import BadRequestError
from adaptery_inference.server.requests import (
    ChatGeneration,
    CompletionGeneration,
    LoadAdapter,
    parse,
    sampling_of,
)

MESSAGES = [{"role": "user", "content": "a secret"}]


def chat(**fields: object) -> ChatGeneration:
    return parse(ChatGeneration, json.dumps({"messages": MESSAGES, **fields}).encode())


def sampling(number: int = 0, **fields: object) -> SamplingParams:
    return sampling_of(chat(**fields), number, vocabulary=100)


def test_nulls_and_unknown_fields_count_as_left_out() -> None:
    ignored = {"logit_bias": None, "parallel": 1, "cache_salt": "of-a-tenant"}
    params = sampling(temperature=None, top_p=None, n=None, stop=None, **ignored)
    assert params.temperature == 1.0
    assert params.stop == ()


def test_the_newer_name_of_a_limit_wins() -> None:
    assert sampling(max_tokens=5, max_completion_tokens=3).max_tokens == 3


def test_a_stop_may_be_one_string_or_several() -> None:
    assert sampling(stop="a").stop == ("a",)
    assert sampling(stop=["a", "b"]).stop == ("a", "b")


def test_answers_of_one_seed_differ_from_each_other_only() -> None:
    assert [sampling(k, seed=7).seed for k in (0, 1)] == [7, 8]
    assert sampling().seed != sampling().seed


def test_all_tokens_may_be_written_as_zero_or_minus_one() -> None:
    assert sampling(top_k=-1).top_k is sampling(top_k=0).top_k is None
    assert sampling(top_k=5).top_k == 5


def test_prompts_may_be_text_texts_or_tokens() -> None:
    def prompts(value: object) -> object:
        return parse(CompletionGeneration, json.dumps({"prompt": value}).encode()).prompts()

    assert prompts("a") == ["a"]
    assert prompts(["a", "b"]) == ["a", "b"]
    assert prompts([1, 2]) == [[1, 2]]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"not json a secret", "body"),
        (json.dumps({"messages": []}).encode(), "messages"),
        (json.dumps({"messages": MESSAGES, "n": "a secret"}).encode(), "n"),
        (json.dumps({"messages": [{"role": "a secret"}]}).encode(), "messages.0.role"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(body: bytes, where: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(ChatGeneration, body)
    assert where in [problem.where for problem in caught.value.errors]
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["", "a b", "a\n", "ü", "x" * 201])
def test_adapter_names_are_plain(name: str) -> None:
    with pytest.raises(BadRequestError):
        parse(LoadAdapter, json.dumps({"lora_name": name, "lora_path": "/x"}).encode())

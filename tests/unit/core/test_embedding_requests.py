"""Requests for embeddings: whatever clients send is either texts or an error that says where."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError
from adaptery.schemas.common import parse_json
from adaptery.schemas.embeddings import TEXT_CHARACTERS, EmbeddingRequest, text_problems

CANARY = "canary-0b77"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def read(**fields: object) -> EmbeddingRequest:
    return parse_json(EmbeddingRequest, json.dumps(fields))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: json_values
            for name in ("input", "model", "encoding_format", "dimensions", "user", "else")
        },
    )
)
def test_anything_is_a_list_of_texts_or_an_error_of_the_caller(fields: dict[str, object]) -> None:
    try:
        request = read(**fields)
    except InvalidInputError as error:
        assert error.errors
        return
    assert request.input and all(isinstance(text, str) and text for text in request.input)
    assert fields["input"] in (request.input, request.input[0])


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2]], [[1], [2, 3]], [[]], [2**70]])
def test_token_ids_are_told_from_wrong_texts(tokens: list) -> None:
    with pytest.raises(InvalidInputError, match="check_embedding_ctx_length=False") as refused:
        read(input=tokens)
    assert [problem.where for problem in refused.value.errors] == ["input"]


def test_wrong_texts_are_named_by_place_and_not_quoted() -> None:
    with pytest.raises(InvalidInputError) as refused:
        read(input=[CANARY, "", {CANARY: 1}, CANARY * TEXT_CHARACTERS])
    assert [problem.where for problem in refused.value.errors] == ["input.1", "input.2", "input.3"]
    assert CANARY not in str(refused.value)


def test_of_many_wrong_texts_some_are_named() -> None:
    assert len(text_problems([""] * 2000)) == 20


@pytest.mark.parametrize(
    "fields",
    [
        {"encoding_format": "int8"},
        {"encoding_format": 1},
        {"dimensions": 0},
        {"dimensions": "many"},
        {"model": "m" * 401},
        {"user": 3},
    ],
)
def test_other_fields_are_checked_too(fields: dict[str, object]) -> None:
    (name,) = fields
    with pytest.raises(InvalidInputError) as refused:
        read(input="x", **fields)
    assert refused.value.errors[0].where == name


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(InvalidInputError):
        parse_json(EmbeddingRequest, b'{"input": ["\\ud800"]}')

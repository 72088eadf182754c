"""Values are counted as they are, whatever strings hold; reading is bounded before it begins."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.json_values import VALUES_LIMIT, has_many_values
from adaptery.schemas.common import parse_json
from adaptery.schemas.openai import ChatRequest
from adaptery.sealed.documents import read_object

VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a,[{"\\\n', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def count(value: object) -> int:
    """Count a value, those in it, and one more for each list or object that is empty."""
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else []
    return 1 + sum(map(count, inner)) + (isinstance(value, list | dict) and not inner)


@given(VALUES)
def test_what_strings_hold_is_not_counted(value: object) -> None:
    raw, values = json.dumps(value).encode(), count(value)
    assert not has_many_values(raw, values)
    assert len(raw) < values or has_many_values(raw, values - 1)


@pytest.mark.parametrize("text", ['"', '\\"' * 9, '"\\', '",",', "\\\\\\", ""])
def test_what_is_no_json_is_counted_too(text: str) -> None:
    assert has_many_values(text.encode(), 0) in (True, False)


def test_a_long_prompt_full_of_commas_is_one_value() -> None:
    request = {"messages": [{"role": "user", "content": '1,2,{"a": [3]},' * 100_000}]}
    assert not has_many_values(json.dumps(request).encode())


def test_a_sealed_message_of_many_values_is_not_read() -> None:
    with pytest.raises(IntegrityError):
        read_object(b'{"a":[' + b"1," * VALUES_LIMIT + b"1]}")


def test_a_request_with_a_thousand_faults_is_told_how_many() -> None:
    faults = '{"messages":[{"role":"user","content":"x"}],"stop":[' + "1," * 5000 + "1]}"
    with pytest.raises(InvalidInputError) as caught:
        parse_json(ChatRequest, faults)
    (problem,) = caught.value.errors
    assert (problem.where, problem.reason) == ("body", "has 5001 faults.")

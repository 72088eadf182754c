"""Canonical JSON of messages is RFC 8785, however it is made."""

import math

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError
from adaptery.sealed.documents import canonical

NUMBERS = st.one_of(
    st.integers(-(2**54), 2**54),
    st.floats(),
    st.floats(-1, 1),
    st.integers(-100, 100).map(float),
    st.sampled_from([1e-4, 9.9e-5, 1e-7, 1e15, 1e16, 2.0**53, 2.0**53 - 1, 1e21, -0.0, 5e-324]),
)
TEXT = st.text(st.characters(exclude_categories=()), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def by_the_library(document):
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return None


@given(st.dictionaries(TEXT, VALUES, max_size=4))
@example({"\ue000": 1, "\U00010000": 2, "a": '\u2028\x7f\x00"\\/'})
def test_what_is_written_fast_is_what_the_library_writes(document):
    expected = by_the_library(document)
    if expected is None:
        with pytest.raises(InvalidInputError):
            canonical(document)
    else:
        assert canonical(document) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, -(2**53), "\ud800"])
def test_what_json_cannot_carry_exactly_is_refused(value):
    with pytest.raises(InvalidInputError):
        canonical({"value": [value]})


class Words(str):
    """A text that is more than a text."""


@pytest.mark.parametrize("value", [Words("x"), (1, 2)])
def test_kin_of_plain_values_are_written_as_the_library_has_them(value):
    assert canonical({"value": value}) == rfc8785.dumps({"value": value})

"""Presidio's patterns beside ours, where it is installed."""

from __future__ import annotations

import importlib.util

import pytest

from adaptery.errors import MissingExtraError
from adaptery.schemas.review import ReviewOptions
from adaptery_hub.review.analysis import make_recognisers

INSTALLED = importlib.util.find_spec("presidio_analyzer") is not None


@pytest.mark.skipif(INSTALLED, reason="presidio is installed")
def test_without_it_the_extra_is_named() -> None:
    with pytest.raises(MissingExtraError) as raised:
        make_recognisers(ReviewOptions(presidio=True), frozenset())
    assert "adaptery[pii]" in str(raised.value.hint)


@pytest.mark.skipif(not INSTALLED, reason="presidio is not installed")
def test_it_finds_what_our_patterns_leave_out() -> None:
    text = "Due 12-OCT-2024; card 4012 8888 8888 1881; mail a@example.org"
    recognisers = make_recognisers(ReviewOptions(presidio=True), frozenset())
    kinds = {(hit.kind, text[hit.start : hit.end]) for hit in recognisers.find(text)}
    assert ("card", "4012 8888 8888 1881") in kinds
    assert ("date", "12-OCT-2024") in kinds
    assert ("email", "a@example.org") in kinds

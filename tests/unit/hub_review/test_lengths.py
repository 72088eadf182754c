"""Lengths in tokens: counted once for each content, and what a cutoff takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from adaptery.errors import NotFoundError
from adaptery.records import Record
from adaptery_hub.review.lengths import LengthsOrder, count_lengths, summarise

from .conftest import ME, Desk


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A tokenizer for which a word is a token, and which would cut a text after three."""
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.enable_truncation(3)
    made.enable_padding()
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


def count(desk: Desk, tokenizer: Path | None, model: str = "tiny") -> int:
    order = LengthsOrder(desk.path, desk.max_records, model, tokenizer)
    return count_lengths(lambda done, total: None, order)["counted"]


def fill(desk: Desk, *lengths: int) -> None:
    desk.fill({"kind": "text", "text": " ".join(["w"] * length)} for length in lengths)


def test_a_cutoff_takes_what_is_longer(desk: Desk, words: Path) -> None:
    fill(desk, 1, 5, 10, 100)
    assert count(desk, words) == 4
    with desk.open() as draft:
        found = summarise(draft, 8)
    assert (found.tokenizer, found.records, found.tokens) == ("exact", 4, 116)
    assert (found.median, found.max) == (5, 100)
    assert (found.records_cut, found.tokens_cut) == (2, 2 + 92)
    assert sum(item.records for item in found.bins) == 4
    assert all(a.end + 1 == b.start for a, b in zip(found.bins, found.bins[1:], strict=False))
    assert found.bins[-1].end >= 100


def test_only_what_changed_is_counted_again(desk: Desk, words: Path) -> None:
    fill(desk, 1, 5)
    assert count(desk, words) == 2
    with desk.open(write=True) as draft:
        draft.replace(1, Record.of_text("w w w w w w w"), ME)
        draft.remove(2, ME)
        assert summarise(draft, 8).records == 0, "what changed has no count any more"
    assert count(desk, words) == 1
    with desk.open() as draft:
        assert summarise(draft, 8).tokens == 7
    assert count(desk, words, "another") == 1
    assert count(desk, None, "another") == 1


def test_without_a_tokenizer_characters_are_divided(desk: Desk) -> None:
    desk.fill([{"kind": "text", "text": "x" * 9}])
    with desk.open() as draft, pytest.raises(NotFoundError):
        summarise(draft, 8)
    count(desk, None)
    with desk.open() as draft:
        found = summarise(draft, 8)
    assert (found.tokenizer, found.tokens) == ("estimate", 3)


def test_an_empty_draft_has_no_lengths(desk: Desk, words: Path) -> None:
    assert count(desk, words) == 0
    with desk.open() as draft:
        found = summarise(draft, 8)
    assert (found.records, found.max, found.bins) == (0, 0, ())

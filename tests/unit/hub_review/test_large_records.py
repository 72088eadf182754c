"""Large records: nobody else waits while they are searched."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adaptery.records import Record
from adaptery_hub.drafts import RecordEdit
from adaptery_hub.review import showing
from adaptery_hub.review.decisions import DecisionOrder, takes_long
from adaptery_hub.review.showing import Page, Shown, show_page

from .conftest import ME, Desk, chat

MAIL = "Write to a@example.org, then to b@example.org."


def pages(desk: Desk) -> Sequence[Shown]:
    page = Page("pii", "open", None, None, 10, (), frozenset())
    with desk.open() as draft:
        return show_page(draft, page)[0]


def test_a_decision_about_large_records_is_not_for_a_request(desk: Desk) -> None:
    desk.fill([chat(f"q{number}", f"{MAIL} {'x' * 1_000_000}") for number in range(3)])
    desk.analyse("pii")
    order = DecisionOrder("pii", "replace", ME)
    stays = DecisionOrder("pii", "ignore", ME)
    with desk.open() as draft:
        assert takes_long(draft, order, at_once=500)
        assert not takes_long(draft, stays, at_once=500), "which searches nothing"


def test_changed_records_are_searched_again_once_and_only_so_far(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.fill([chat("q", MAIL)])
    desk.analyse("pii")
    with desk.open(write=True) as draft:
        draft.change_many([RecordEdit(1, Record.from_dict(chat("q", f"Well. {MAIL}")))], ME, "x")
    found = [shown.finding.excerpt for shown in pages(desk)]
    assert [excerpt.match for excerpt in found if excerpt] == ["a@example.org", "b@example.org"]
    monkeypatch.setattr(showing, "REFOUND_CHARACTERS", 10)
    assert [shown.finding.excerpt for shown in pages(desk)] == [None, None]


def test_an_excerpt_begins_and_ends_between_words_and_says_that_it_goes_on(desk: Desk) -> None:
    desk.fill([chat("q", f"{'early ' * 50}a@example.org{' later' * 50}")])
    desk.analyse("pii")
    (found,) = (shown.finding.excerpt for shown in pages(desk))
    assert found is not None
    assert found.before == "…" + "early " * 13 and found.after == " later" * 13 + "…"

"""What is undone leaves every queue as it was, or its records count as stale.

A publish policy wants nothing open and nothing stale: what vanished from a queue would pass it.
"""

from __future__ import annotations

import pytest

from adaptery.schemas.review import DECISIONS, QUEUES, Queue
from adaptery_hub.drafts.findings import STAYING

from .conftest import ME, Desk, chat

LONG = "The patient slept well, ate well and went home in the afternoon of the same day."
FRENCH = "Je ne peux pas répondre à cette question, écrivez à jean@example.org demain matin."
PHRASE = "I am a helpful virtual assistant of this clinic."
RECORDS = (
    *[chat("a", LONG)] * 2,
    chat("b", LONG + " Really."),
    chat("c", FRENCH),
    chat("d", FRENCH + " Bonjour {{name}}."),  # also flagged
    chat("How is the patient called?", "ok"),
    chat("Mail jo@example.org?", "I cannot help you with this request, I am sorry about that."),
    *[chat(f"q{i}", f"{PHRASE} Answer {'xyz'[i % 3] * (i + 3)}.") for i in range(5)],
)
FOUND: tuple[Queue, ...] = tuple(queue for queue in QUEUES if queue != "lengths")
CHANGES = [(q, choice) for q in FOUND for choice in DECISIONS[q] if choice not in STAYING]


def counts(desk: Desk) -> dict[Queue, tuple[dict[str, int], int]]:
    """Return what is open by rule, and what is stale."""
    return {queue: (desk.rules(queue), desk.stale(queue)) for queue in FOUND}


def check_nothing_vanished(desk: Desk, before: dict[Queue, tuple[dict[str, int], int]]) -> None:
    for queue, (rules, stale) in counts(desk).items():
        missing = sum(before[queue][0].values()) - sum(rules.values())
        assert rules == before[queue][0] or stale, f"{queue}: {missing} findings vanished"


@pytest.fixture
def analysed(desk: Desk) -> Desk:
    desk.fill(RECORDS)
    desk.analyse(*FOUND)
    assert all(desk.rules(queue) for queue in FOUND), "each queue has something to lose"
    return desk


@pytest.mark.parametrize(("queue", "choice"), CHANGES)
def test_a_decision_and_its_undoing_lose_no_finding(
    analysed: Desk, queue: Queue, choice: str
) -> None:
    before = counts(analysed)
    more = {"replacement": "-"} if choice == "replace" else {}
    analysed.decide(queue, choice, **more)
    analysed.undo(queue)
    check_nothing_vanished(analysed, before)
    assert analysed.rules(queue) == before[queue][0]


@pytest.mark.parametrize(("queue", "choice"), CHANGES)
def test_the_history_loses_no_finding(analysed: Desk, queue: Queue, choice: str) -> None:
    before = counts(analysed)
    more = {"replacement": "-"} if choice == "replace" else {}
    edit = analysed.decide(queue, choice, **more).edit
    assert edit is not None
    for _ in range(2):
        with analysed.open(write=True) as draft:
            draft.undo(ME, edit)
        check_nothing_vanished(analysed, before)
        with analysed.open(write=True) as draft:
            draft.redo(ME, edit)
    with analysed.open(write=True) as draft:
        draft.restore_many(range(1, len(RECORDS) + 1), ME, "restore")
    check_nothing_vanished(analysed, before)


def test_records_that_were_looked_at_again_lose_nothing(analysed: Desk) -> None:
    before = counts(analysed)
    analysed.decide("quality", "drop")
    assert analysed.rules("language") != before["language"][0]
    analysed.undo("quality")
    assert analysed.rules("language") == before["language"][0]
    assert analysed.stale("language") == 0, "they were looked at again"


def test_what_was_looked_at_again_during_an_analysis_is_stale(analysed: Desk) -> None:
    at = "2000-01-01T00:00:00.000Z"  # an analysis that began before
    analysed.decide("quality", "drop")
    changed = analysed.undo("quality").changed
    with analysed.open(write=True) as draft:
        draft.findings.begin("language")
        draft.findings.end("language", at, {}, {})
    assert changed
    assert analysed.stale("language") >= changed

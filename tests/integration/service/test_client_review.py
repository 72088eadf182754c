"""The Python client reviews a draft of the real service."""

import asyncio

import pytest

import adaptery
from adaptery.client.datasets import Dataset
from adaptery.errors import ConflictError, NotFoundError
from adaptery.records import Message, Record
from adaptery.schemas.review import ReviewOptions
from support.service import Client, Service

SAID = "Mail jo@example.org or (415) 555-2671 today."


def chat(prompt: str, answer: str) -> Record:
    return Record.chat([Message("user", prompt), Message("assistant", answer)])


def work_through(draft: Dataset) -> None:
    draft.add(chat("q", SAID))
    for _ in range(2):
        draft.add(chat("r", "The patient went home in the afternoon of the same day."))
    with pytest.raises(NotFoundError):
        draft.lengths()
    steps: list[int] = []
    options = ReviewOptions(pii=("email",))
    state = draft.review(
        "exact", "pii", options=options, progress=lambda done, total: steps.append(done)
    )
    assert steps
    counts = {queue.queue: queue.open for queue in state.queues if queue.analysed_at}
    assert counts == {"exact": 1, "pii": 1}
    (finding,) = draft.findings("pii")
    assert finding.excerpt is not None and finding.excerpt.match == "jo@example.org"
    assert draft.decide("pii", "replace", like=finding, replacement="<mail>").changed_records == 1
    assert [f.decided and f.decided.by for f in draft.findings("pii", state="decided")] == ["@demo"]
    assert draft.decide("exact", "drop").changed_records == 1
    assert len(list(draft.records())) == 2
    assert draft.undo_decision("exact").changed_records == 1
    assert draft.undo_decision("pii").reopened == 1
    with pytest.raises(ConflictError):
        draft.undo_decision("pii")
    lengths = draft.count_tokens(cutoff=10)
    assert (lengths.records, lengths.tokenizer, lengths.cutoff) == (3, "estimate", 10)
    assert draft.lengths(cutoff=10_000).records_cut == 0


async def test_review_in_the_client(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    token = demo.headers["Authorization"].removeprefix("Bearer ")

    def run() -> None:
        with adaptery.connect(service.url, token) as hub:
            work_through(hub.datasets.get(dataset))

    await asyncio.to_thread(run)

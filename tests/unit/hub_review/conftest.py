"""A draft with records, and its analysis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adaptery.records import Record
from adaptery.schemas.review import Queue, ReviewOptions
from adaptery_hub.drafts import Draft, Drafts, opened
from adaptery_hub.review.analysis import AnalysisOrder, analyse
from adaptery_hub.review.decisions import DecisionOrder, Outcome, UndoOrder, decide, undo

ME, OTHER = "tn_me", "tn_other"


def chat(prompt: str, answer: str) -> dict[str, Any]:
    """Return a chat of one question and one answer."""
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"kind": "chat", "messages": messages}


class Desk:
    """One draft under review."""

    max_records = 10_000

    def __init__(self, folder: Path, name: str = "ds_x") -> None:
        self.drafts = Drafts(folder, self.max_records)
        asyncio.run(self.drafts.create(name))
        self.path = self.drafts.path(name)

    def fill(self, records: Iterable[dict[str, Any]], file: str = "fi_x") -> None:
        made = [Record.from_dict(record) for record in records]
        with self.open(write=True) as draft:
            draft.import_records(made, file)

    def open(self, *, write: bool = False) -> Any:
        return opened(self.path, self.max_records, write=write)

    def analyse(
        self,
        *queues: Queue,
        against: tuple[tuple[str, Path], ...] = (),
        **options: Any,
    ) -> dict[str, int]:
        asked = ReviewOptions(**options)
        order = AnalysisOrder(self.path, self.max_records, queues, asked, against=against)
        return analyse(lambda done, total: None, order)

    def rules(self, queue: Queue, sources: tuple[str, ...] = ()) -> dict[str, int]:
        with self.open() as draft:
            return dict(draft.findings.state(queue, sources).rules)

    def stale(self, queue: Queue) -> int:
        with self.open() as draft:
            return draft.findings.state(queue).stale

    def decide(self, queue: Queue, decision: Any, editor: str = ME, **more: Any) -> Outcome:
        with self.open(write=True) as draft:
            return decide(draft, DecisionOrder(queue, decision, editor, **more))

    def undo(self, queue: Queue, editor: str = ME) -> Outcome:
        with self.open(write=True) as draft:
            return undo(draft, UndoOrder(queue, editor))

    def keys(self, queue: Queue) -> list[int]:
        with self.open() as draft:
            return [finding.key for finding in draft.findings.open(queue)]

    def answers(self) -> dict[int, str]:
        with self.open() as draft:
            return {item.position: _answer(item.record) for item in _all(draft)}


def _all(draft: Draft) -> Iterator[Any]:
    for (position,) in draft.iterate(("position",)):
        yield draft.get(int(str(position)))


def _answer(record: Any) -> str:
    return record["text"] if record["kind"] == "text" else record["messages"][-1]["content"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "drafts")
    yield made
    made.drafts.close()

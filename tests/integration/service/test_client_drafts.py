"""The Python client edits a draft of the real service."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import adaptery
from adaptery.client.datasets import Dataset
from adaptery.errors import ConflictError, InvalidInputError, NotFoundError, RecordChangedError
from adaptery.records import Record
from support.service import Client, Service, alpaca


def text(word: str) -> Record:
    return Record.of_text(word)


async def with_draft(
    service: Service, client: Client, dataset: str, work: Callable[[Dataset], None]
) -> None:
    """Let the client, which waits for its answers, work in a thread."""

    def run() -> None:
        with adaptery.connect(service.url, token) as hub:
            work(hub.datasets.get(dataset))

    token = client.headers["Authorization"].removeprefix("Bearer ")
    await asyncio.to_thread(run)


async def test_the_whole_draft_in_any_order(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(230))

    def walk(draft: Dataset) -> None:
        assert [item.id for item in draft.records()] == [str(i) for i in range(1, 231)]
        lengths = [item.length or 0 for item in draft.records(order="-length")]
        assert len(lengths) == 230 and lengths == sorted(lengths, reverse=True)
        draft.add(text("a note"))
        draft.add(text("a note"))
        twice = [item.id for item in draft.records(kind="text", duplicates=True, edited=True)]
        assert twice == ["231", "232"]
        assert [item.id for item in draft.records("pati", order="-position", kind="text")] == []
        (file,) = draft.files()
        assert len(list(draft.records("pati", file=file.id, order="changed"))) == 230
        with pytest.raises(InvalidInputError, match=r"-changed"):
            list(draft.records(order="size"))  # type: ignore[arg-type]

    await with_draft(service, demo, dataset, walk)


async def test_edits_with_undo_and_redo(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()

    def edit(draft: Dataset) -> None:
        made = draft.add(text("a cold"), key="one")
        assert draft.add(text("a cold"), key="one") == made
        changed = draft.replace(made, text("a cough"))
        with pytest.raises(RecordChangedError):
            draft.replace(made, text("a fever"))
        with pytest.raises(RecordChangedError):
            draft.remove(made)
        draft.remove(changed)
        with pytest.raises(NotFoundError):
            draft.remove(changed)
        undone = draft.undo()
        assert undone.edit.action == "remove"
        assert undone.record is not None and undone.record.record == text("a cough").to_dict()
        assert draft.redo().record is None
        with pytest.raises(ConflictError):
            draft.redo()
        actions = [(entry.action, entry.editor) for entry in draft.edits()]
        assert actions == [("remove", "@demo"), ("replace", "@demo"), ("add", "@demo")]
        position = draft.add_record(text("by its first name")).id
        draft.replace_record(position, text("again").to_dict())
        draft.delete_record(position)
        assert list(draft.records()) == []

    await with_draft(service, demo, dataset, edit)


async def test_what_is_uncertain_is_told_in_words_of_python(
    service: Service, demo: Client, tmp_path: Path
) -> None:
    dataset = await demo.dataset()
    path = tmp_path / "talks.csv"
    path.write_text("one,two\nHow are you?,Well.\n")

    def upload(draft: Dataset) -> None:
        with pytest.raises(InvalidInputError) as refused:
            draft.upload(path)
        assert "import_file(file, suggestion.mapping)" in str(refused.value.hint)
        assert draft.suggestion("talks.csv").why in refused.value.message

    await with_draft(service, demo, dataset, upload)

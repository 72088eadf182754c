"""Many records of a draft at once, collations, splits and leaks, over HTTP."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
import sqlalchemy as sa

import adaptery
from adaptery.client.datasets import Dataset
from adaptery.client.hub import Hub
from adaptery.errors import ConflictError, InvalidInputError, NotFoundError
from adaptery.records import Record
from adaptery.schemas.curation import CollateSource, RecordFilter
from adaptery_hub.database import tables
from adaptery_hub.operations import OPERATION_THREADS, OPERATIONS_PER_TENANT
from support.service import Client, Service, alpaca

VIEW_FOR_GUEST = {"principal": "@guest", "right": "view"}


def chat(question: str, answer: str) -> Record:
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return Record.from_dict({"kind": "chat", "messages": messages})


async def with_hub(service: Service, client: Client, work: Callable[[Hub], None]) -> None:
    """Let the client, which waits for its answers, work in a thread."""

    def run() -> None:
        with adaptery.connect(service.url, token) as hub:
            work(hub)

    token = client.headers["Authorization"].removeprefix("Bearer ")
    await asyncio.to_thread(run)


def texts(draft: Dataset, **wanted: object) -> list[str]:
    return [
        json.dumps(item.record["messages"][0]["content"])  # type: ignore[index]
        for item in draft.records(**wanted)  # type: ignore[arg-type]
    ]


async def test_many_records_are_removed_and_come_back_at_once(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(30))

    def work(hub: Hub) -> None:
        draft = hub.datasets.get(dataset)
        draft.add(chat("Was ist das?", "Ein Husten."))
        bars: list[int] = []
        gone = draft.remove_many(
            RecordFilter(search="patient", field="assistant"),
            progress=lambda done, total: bars.append(done),
        )
        assert (gone.changed, gone.passed_over) == (0, 0) and gone.edit is None and bars
        gone = draft.remove_many(RecordFilter(search="pat", kind="chat"))
        assert gone.changed == 30 and draft.refresh().info.records == 1
        newest = next(iter(draft.edits()))
        assert (newest.id, newest.action, newest.records) == (gone.edit, "remove", 30)
        assert newest.batch == "all of a filter" and newest.record is None
        back = draft.restore("7")
        assert back.id == "7" and draft.restore(back) == back
        undone = draft.undo(newest)
        assert (undone.changed, undone.passed_over, undone.edit.undone) == (29, 1, True)
        assert draft.refresh().info.records == 31
        some = [item for item in draft.records() if int(item.id) > 25]
        assert draft.set_split("test", some).changed == 6
        assert len(list(draft.records(split="test"))) == 6
        draft.undo()
        assert not list(draft.records(split="test"))
        removed = draft.remove_many([*some, "999"])
        assert (removed.changed, removed.passed_over) == (6, 1)
        assert draft.restore_many(some).changed == 6

    await with_hub(service, demo, work)


@pytest.mark.slow
async def test_a_large_batch_is_undone_by_an_operation(
    service: Service, demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.handlers.edits.AT_ONCE", 20)
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(30))

    def work(hub: Hub) -> None:
        draft = hub.datasets.get(dataset)
        gone = draft.remove_many(RecordFilter())
        assert draft.refresh().info.records == 0
        undone = draft.undo()
        assert undone.operation is None and undone.changed == 30 and undone.edit.id == gone.edit
        assert draft.refresh().info.records == 30
        assert draft.redo().changed == 30 and draft.refresh().info.records == 0

    await with_hub(service, demo, work)
    base = f"api/datasets/{dataset}/edits"
    answer = await demo.json("POST", f"{base}/undo", 202, json={})
    assert answer["operation"]["kind"] == "undo"
    assert (await demo.ended(answer["operation"]["id"]))["state"] == "completed"


async def test_what_is_forgotten_cannot_come_back(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(3))

    def work(hub: Hub) -> None:
        draft = hub.datasets.get(dataset)
        draft.replace("1", chat("My number?", "It is 078-05-1120."))
        draft.replace("1", chat("My number?", "It is hidden."))
        assert draft.forget(record="1") == 2
        for edit in draft.edits():
            assert edit.forgotten and edit.before is None and edit.after is None
        with pytest.raises(ConflictError):
            draft.undo()
        gone = draft.remove_many(["2", "3"])
        assert draft.forget(edit=gone.edit) == 1
        with pytest.raises(ConflictError):
            draft.restore("2")
        with pytest.raises(NotFoundError):
            draft.forget(edit="999")

    await with_hub(service, demo, work)


async def test_drafts_and_versions_are_collated(
    service: Service, demo: Client, colleague: Client
) -> None:
    first = await demo.dataset("first")
    await demo.upload(first, alpaca(20))
    version = await demo.publish(first)
    second = await demo.dataset("second")
    await demo.upload(second, alpaca(10, "fever"))
    target = await demo.dataset("target", tenant="radiology")

    def work(hub: Hub) -> None:
        draft = hub.datasets.get(target)
        source = hub.datasets.get(second)
        (published,) = hub.datasets.get(first).versions()
        found = draft.collate(
            CollateSource(version=published.id, weight=0.5, seed=3),
            CollateSource(dataset=second, sample=4, filter=RecordFilter(search="fever")),
        )
        assert [(s.kind, s.available, s.taken) for s in found.sources] == [
            ("version", 20, 10),
            ("dataset", 10, 4),
        ]
        assert found.sources[0].digest == published.info.content_digest
        assert found.sources[0].recipe == {"version": published.id, "weight": 0.5, "seed": 3}
        assert draft.refresh().info.records == found.records == 14
        of_second = found.sources[1]
        assert len(texts(draft, file=of_second.id)) == 4
        drawn = texts(draft)
        draft.remove_source(of_second)
        assert len(texts(draft)) == 10
        assert texts(draft) == drawn[:10]
        (left,) = draft.sources()
        again = draft.collate(published).sources[0]
        assert again.taken == 20 and left.records == 10
        with pytest.raises(InvalidInputError, match="no record"):
            draft.collate(CollateSource(dataset=second, filter=RecordFilter(search="zebra")))
        with pytest.raises(InvalidInputError):
            draft.collate(draft)
        with pytest.raises(InvalidInputError):
            draft.collate(CollateSource(version=published.id, filter=RecordFilter(edited=True)))
        source.update(sensitivity="restricted")
        assert draft.refresh().info.sensitivity == "restricted"  # it has held records of it
        with pytest.raises(InvalidInputError, match="restricted"):
            hub.datasets.create("less").collate(source)

    await with_hub(service, demo, work)
    # Who may see the draft and not its sources learns how many records came, and not from where.
    (seen, _) = (await colleague.json("GET", f"api/datasets/{target}/sources"))["items"]
    assert (seen["taken"], seen["source"], seen["name"], seen["recipe"]) == (10, None, None, None)
    body = {"sources": [{"dataset": second}]}
    await colleague.json("POST", f"api/datasets/{target}/collate", 404, json=body)
    assert version["state"] == "completed"


async def test_records_are_turned_into_another_kind(service: Service, demo: Client) -> None:
    dataset, target = await demo.dataset("mixed"), await demo.dataset("target")

    def work(hub: Hub) -> None:
        mixed = hub.datasets.get(dataset)
        mixed.add(chat("A cough?", "Rest."))
        for label in (True, False):
            said = chat(f"A {label} fever?", "Drink.").to_dict()["messages"]
            mixed.add(Record.from_dict({"kind": "kto", "messages": said, "label": label}))
        mixed.add(Record.of_text("No chat at all."))
        draft = hub.datasets.get(target)
        found = draft.collate(CollateSource(dataset=dataset, kind="chat")).sources[0]
        assert (found.available, found.taken) == (4, 2)
        assert found.dropped == {"labels": 1, "records of which the kind cannot be made": 2}
        assert {item.kind for item in draft.records()} == {"chat"}

    await with_hub(service, demo, work)


async def test_splits_and_what_leaks_between_them(
    service: Service, demo: Client, colleague: Client
) -> None:
    dataset = await demo.dataset("split", tenant="radiology")
    other = await demo.dataset("other")

    def work(hub: Hub) -> None:
        draft = hub.datasets.get(dataset)
        for number in range(20):
            draft.add(chat(f"Question {number % 10}?", f"The {number}th answer, which is long."))
        summary = draft.split(validation=0.1, test=0.2, seed=7, group_by="user")
        assert {s.split: s.records for s in summary.splits} == {
            "train": 14,
            "validation": 2,
            "test": 4,
        }
        assert summary.groups == 10 and summary.recipe is not None
        tested = {str(item.record["messages"]) for item in draft.records(split="test")}
        assert draft.find_leaks().counts == () or tested
        hub.datasets.get(other).add(chat("Question 3?", "Another answer altogether."))
        draft.set_split("train", RecordFilter())
        draft.set_split("test", ["1", "2"])
        report = draft.find_leaks(hub.datasets.get(other), similarity=0.95)
        counts = {(c.kind, c.source): c.records for c in report.counts}
        assert counts == {("prompt", None): 2, ("prompt", other): 2}
        pairs = {(p.here.id, p.there.id, p.there.source) for p in draft.leaks()}
        assert pairs == {
            ("1", "11", None),
            ("2", "12", None),
            ("4", "1", other),
            ("14", "1", other),
        }

    await with_hub(service, demo, work)
    page = await colleague.json("GET", f"api/datasets/{dataset}/splits/leaks")
    assert {item["there"]["source"] for item in page["items"]} == {None}
    assert [count["source"] for count in page["report"]["counts"]] == [None]
    body = {"against": [other]}
    await colleague.json("POST", f"api/datasets/{dataset}/splits/leaks", 404, json=body)


async def test_a_step_can_be_cancelled_and_leaves_nothing(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(20))
    async with service.services.drafts.exclusive(dataset):
        body = {"action": "remove", "filter": {}}
        operation = await demo.json("POST", f"api/datasets/{dataset}/records/bulk", 202, json=body)
        problem = await demo.json("POST", f"api/datasets/{dataset}/splits", 409, json={})
        assert problem["code"] == "conflict"
        ended = await demo.json("DELETE", f"api/operations/{operation['id']}")
    assert ended["state"] == "cancelled"
    assert (await demo.json("GET", f"api/datasets/{dataset}/records"))["total"] == 20


async def test_what_was_collated_keeps_its_sensitivity(demo: Client) -> None:
    ids = {name: await demo.dataset(name, sensitivity="internal") for name in ("a", "b", "c")}
    await demo.upload(ids["a"], alpaca(3))
    for source, target in (("a", "b"), ("b", "c")):
        path = f"api/datasets/{ids[target]}/collate"
        begun = await demo.json("POST", path, 202, json={"sources": [{"dataset": ids[source]}]})
        assert (await demo.ended(begun["id"]))["state"] == "completed"
    # What becomes more sensitive later takes along what came from it, two steps away, too.
    await demo.json("PATCH", f"api/datasets/{ids['a']}", json={"sensitivity": "restricted"})
    for name in ("b", "c"):
        dataset = await demo.json("GET", f"api/datasets/{ids[name]}")
        assert dataset["sensitivity"] == "restricted"
    # Nor is it washed off by removing the source in between.
    (source,) = (await demo.json("GET", f"api/datasets/{ids['b']}/sources"))["items"]
    await demo.json("DELETE", f"api/datasets/{ids['b']}/sources/{source['id']}", 204)
    for name in ("b", "c"):
        path = f"api/datasets/{ids[name]}"
        problem = await demo.json("PATCH", path, 409, json={"sensitivity": "open"})
        assert problem["errors"][0]["where"] == "sensitivity"


async def test_who_lost_the_right_while_a_step_waited_gets_nothing(
    service: Service, demo: Client, guest: Client
) -> None:
    source = await demo.dataset("lent")
    await demo.upload(source, alpaca(5))
    await demo.json("PUT", f"api/datasets/{source}/grants", json=VIEW_FOR_GUEST)
    dataset = await guest.dataset("taken")
    async with service.services.drafts.exclusive(dataset):
        body = {"sources": [{"dataset": source}]}
        begun = await guest.json("POST", f"api/datasets/{dataset}/collate", 202, json=body)
        gone = sa.delete(tables.grants).where(tables.grants.c.thing_id == source)
        await service.services.db.write(lambda c: c.execute(gone))
    ended = await guest.ended(begun["id"])
    assert (ended["state"], ended["error"]["status"]) == ("failed", 404)
    base = f"api/datasets/{dataset}"
    assert (await guest.json("GET", f"{base}/records"))["items"] == []
    assert (await guest.json("GET", f"{base}/sources"))["items"] == []


async def test_the_operations_of_one_user_keep_nobody_else_waiting(
    service: Service, demo: Client, guest: Client
) -> None:
    async with AsyncExitStack() as held:
        for number in range(OPERATION_THREADS):
            dataset = await demo.dataset(f"many-{number}")
            await held.enter_async_context(service.services.drafts.exclusive(dataset))
            await demo.json("POST", f"api/datasets/{dataset}/splits", 202, json={})
        other = await guest.dataset("alone")
        begun = await guest.json("POST", f"api/datasets/{other}/splits", 202, json={})
        assert (await guest.ended(begun["id"]))["state"] == "completed"


async def test_who_has_very_many_operations_is_asked_to_wait(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset("one-more")
    me, operations = (await demo.json("GET", "api/whoami"))["id"], service.services.operations
    left = [operations.open.enter(me) for _ in range(OPERATIONS_PER_TENANT)]
    problem = await demo.json("POST", f"api/datasets/{dataset}/splits", 429, json={})
    assert "operations" in problem["detail"]
    for leave in left:
        leave()
    begun = await demo.json("POST", f"api/datasets/{dataset}/splits", 202, json={})
    assert (await demo.ended(begun["id"]))["state"] == "completed"


async def test_a_viewer_changes_nothing(service: Service, demo: Client, guest: Client) -> None:
    from adaptery.ids import new_id
    from adaptery.times import now

    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(2))
    ids = [(await client.json("GET", "api/whoami"))["id"] for client in (guest, demo)]
    grant = {"principal_id": ids[0], "creator_id": ids[1], "thing_id": dataset, "right": 2}
    statement = tables.grants.insert().values(id=new_id("gr"), created_at=now(), **grant)
    await service.services.db.write(lambda c: c.execute(statement))
    base = f"api/datasets/{dataset}"
    for path, body in {
        "records/bulk": {"action": "remove", "filter": {}},
        "records/1/restore": {},
        "edits/forget": {"record": "1"},
        "collate": {"sources": [{"dataset": dataset}]},
        "splits": {},
        "splits/leaks": {},
    }.items():
        await guest.json("POST", f"{base}/{path}", 403, json=body)
    await guest.json("DELETE", f"{base}/sources/cs_x", 403)
    assert (await guest.json("GET", f"{base}/splits"))["splits"][0]["records"] == 2
    assert (await guest.json("GET", f"{base}/splits/leaks"))["report"] is None


async def test_what_makes_no_sense_is_refused(demo: Client) -> None:
    dataset = await demo.dataset()
    senseless: list[tuple[str, dict[str, object]]] = [
        ("records/bulk", {"action": "remove"}),
        ("records/bulk", {"action": "remove", "records": ["1"], "filter": {}}),
        ("records/bulk", {"action": "restore", "filter": {}}),
        ("records/bulk", {"action": "split", "filter": {}}),
        ("records/bulk", {"action": "remove", "filter": {"field": "user"}}),
        ("records/bulk", {"action": "remove", "records": ["1"] * 1001}),
        ("collate", {"sources": []}),
        ("collate", {"sources": [{"dataset": "a", "version": "b"}]}),
        ("collate", {"sources": [{"dataset": "a", "weight": 0}]}),
        ("splits", {"validation": 0.5, "test": 0.5}),
        ("splits", {"group_by": "field:x"}),
        ("edits/forget", {}),
    ]
    for path, body in senseless:
        problem = await demo.json("POST", f"api/datasets/{dataset}/{path}", 422, json=body)
        assert problem["errors"]

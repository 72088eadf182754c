"""What a job learns from: versions side by side, splits, kinds that suit or are translated."""

import itertools
from typing import get_args

import pytest

from adaptery.errors import (
    NotAllowedError,
    NotFoundError,
    SpecError,
)
from adaptery.records import Kind
from adaptery.schemas.jobs import JobAgain, JobCreate
from adaptery.schemas.spec import InputSpec, Stage
from adaptery.stages import STAGE_KINDS
from adaptery_hub.database import tables
from adaptery_hub.database.statements import jobs
from adaptery_hub.job_adapters import JobBase, take_adapters
from adaptery_hub.job_inputs import (
    Chosen,
    Translation,
    choose_versions,
    input_specs,
    plan_translation,
)
from adaptery_hub.permissions import Right
from support.hub_tables import BASE, WEIGHTS, HubTables


async def chosen(hub: HubTables, user: str, *names: str) -> list[Chosen]:
    identity = await hub.identity(user)
    wanted = JobCreate(name="notes", datasets=names)
    return await hub.database.read(lambda c: choose_versions(c, identity, wanted))


async def plan(hub: HubTables, user: str, stage: Stage, *names: str) -> Translation | None:
    entries, identity = await chosen(hub, user, *names), await hub.identity(user)
    return await hub.database.read(lambda c: plan_translation(c, identity, entries, stage))


async def of_kinds(hub: HubTables, *kinds: Kind, owner: str = "demo") -> str:
    name = "-".join(kinds)
    return await hub.version(owner, name, report={"kinds": dict.fromkeys(kinds, 2)})


async def with_splits(hub: HubTables, name: str, **splits: int) -> str:
    version = await hub.version("demo", name)
    await hub.database.write(
        lambda c: c.execute(
            tables.versions.update()
            .where(tables.versions.c.id == version)
            .values(splits=splits, split_digest="sha256:" + "d" * 64)
        )
    )
    return version


async def test_several_versions_go_side_by_side(hub: HubTables) -> None:
    plain = await hub.version("demo", "plain")
    parted = await with_splits(hub, "parted", train=8, validation=2)
    demo = await hub.identity("demo")
    job = await hub.desk.submit(demo, JobCreate(name="notes", datasets=(parted, "@demo/plain")))
    spec = (await hub.row(job))["spec"]
    assert [(one["version"], one["split"]) for one in spec["inputs"]] == [
        (parted, "train"),
        (plain, "all"),
        (parted, "validation"),  # what the adapter is evaluated on
    ]
    rows = await hub.database.read(lambda c: jobs.inputs_of(c, [job]))
    assert [(row["version_id"], row["split"]) for row in rows] == [
        (parted, "train"),
        (plain, "all"),
        (parted, "validation"),
    ]
    unasked = JobCreate(name="notes", task="sft", dataset=parted, options={"eval_examples": 0})
    spec = (await hub.row(await hub.desk.submit(demo, unasked)))["spec"]
    assert [one["split"] for one in spec["inputs"]] == ["train"]


async def test_a_validation_split_is_an_input_where_something_is_held_out(hub: HubTables) -> None:
    first = await with_splits(hub, "first", train=8, validation=2, test=1)
    second = await with_splits(hub, "second", train=4)
    entries = await chosen(hub, "demo", first, second)

    def splits(specs: list[InputSpec]) -> list[tuple[str, str]]:
        return [(spec.version, spec.split) for spec in specs]

    assert splits(input_specs(entries, holds_out=False)) == [(first, "train"), (second, "train")]
    assert splits(input_specs(entries, holds_out=True)) == [
        (first, "train"),
        (second, "train"),
        (first, "validation"),
    ]


async def test_a_version_is_held_out_in_place_of_validation_splits(hub: HubTables) -> None:
    parted = await with_splits(hub, "parted", train=8, validation=2)
    exam = await hub.version("guest", "exam", sensitivity="restricted")
    demo, wanted = await hub.identity("demo"), {"name": "notes", "dataset": parted}
    for right, error in ((None, NotFoundError), (Right.USE, None)):
        if right is not None:
            await share(hub, exam, "demo", right)
        if error is not None:
            with pytest.raises(error):
                await hub.desk.submit(demo, JobCreate(**wanted, validation=exam))
    job = await hub.desk.submit(demo, JobCreate(**wanted, validation="@guest/exam"))
    row = await hub.row(job)
    said = [(one["version"], one["split"], one.get("held_out")) for one in row["spec"]["inputs"]]
    assert said == [(parted, "train", None), (exam, "all", True)]
    (shown,) = await hub.described(job)
    assert (shown.datasets, shown.validation) == (["@demo/parted@1"], "@guest/exam@1")
    await hub.queue.cancel(job)
    again = await hub.desk.resubmit(demo, await hub.row(job), JobAgain())
    assert (await hub.row(again))["spec"]["inputs"] == row["spec"]["inputs"]
    unasked = JobCreate(**wanted, task="sft", validation=exam, options={"eval_examples": 0})
    spec = (await hub.row(await hub.desk.submit(demo, unasked)))["spec"]
    assert [one.get("held_out") for one in spec["inputs"]] == [None, True]


async def test_nothing_is_learnt_from_and_held_out(hub: HubTables) -> None:
    plain = await hub.version("demo", "plain")
    parted = await with_splits(hub, "parted", train=8, validation=2)
    demo = await hub.identity("demo")
    with pytest.raises(SpecError) as caught:
        await hub.desk.submit(demo, JobCreate(name="notes", dataset=plain, validation=plain))
    assert caught.value.errors[0].where == "validation"
    job = await hub.desk.submit(demo, JobCreate(name="n", dataset=parted, validation=parted))
    inputs = (await hub.row(job))["spec"]["inputs"]
    assert [one["split"] for one in inputs] == ["train", "validation"]


async def test_what_is_held_out_suits_the_stage_and_no_translation(hub: HubTables) -> None:
    pairs, chats = await of_kinds(hub, "preference"), await of_kinds(hub, "chat")
    demo = await hub.identity("demo")
    with pytest.raises(SpecError) as caught:
        await hub.desk.submit(demo, JobCreate(name="notes", dataset=chats, validation=pairs))
    assert caught.value.errors[0].where == "validation"
    assert "measured on" in caught.value.errors[0].reason
    job = await hub.desk.submit(demo, JobCreate(name="notes", dataset=pairs, validation=chats))
    translation = (await hub.row(job))["translation"]
    assert (translation["versions"], translation["validation"]) == ([pairs], chats)
    await hub.queue.cancel(job)
    again = await hub.desk.resubmit(demo, await hub.row(job), JobAgain())
    assert (await hub.row(again))["translation"] == translation


async def test_a_version_is_named_once_and_not_withdrawn(hub: HubTables) -> None:
    version = await hub.version("demo")
    with pytest.raises(SpecError) as caught:
        await chosen(hub, "demo", version, "@demo/visits")
    assert caught.value.errors[0].where == "datasets.1"
    await hub.database.write(
        lambda c: c.execute(tables.versions.update().values(state="withdrawn"))
    )
    with pytest.raises(SpecError) as caught:
        await chosen(hub, "demo", version)
    assert caught.value.errors[0].where == "datasets.0"
    assert "withdrawn" in caught.value.errors[0].reason


async def test_a_kind_suits_or_is_translated_or_is_refused(hub: HubTables) -> None:
    versions: dict[Kind, str] = {kind: await of_kinds(hub, kind) for kind in get_args(Kind)}
    stages: tuple[Stage, ...] = get_args(Stage)
    for stage, kind in itertools.product(stages, versions):
        version = versions[kind]
        if kind in STAGE_KINDS[stage]:
            assert await plan(hub, "demo", stage, version) is None
        elif "chat" in STAGE_KINDS[stage] and kind in ("preference", "kto"):
            planned = await plan(hub, "demo", stage, version)
            assert planned is not None and planned.kind == "chat"
            assert planned.versions == (version,) and planned.lost
        else:
            with pytest.raises(SpecError) as caught:
                await plan(hub, "demo", stage, version)
            assert f"2 of kind {kind}" in caught.value.errors[0].reason


async def test_only_what_does_not_suit_is_translated(hub: HubTables) -> None:
    fits, first = await of_kinds(hub, "chat", "text"), await of_kinds(hub, "chat", "preference")
    second = await of_kinds(hub, "kto")
    planned = await plan(hub, "demo", "sft", first, fits, second)
    assert planned is not None
    assert planned.versions == (first, second) and planned.order == (first, fits, second)
    assert str(planned) == (
        "translating 2 datasets to chat; left out: labels, records whose answer is marked as bad, "
        "rejected answers"
    )


async def test_a_job_that_needs_a_translation_says_so_and_is_not_queued(hub: HubTables) -> None:
    await hub.bind()
    demo, version = await hub.identity("demo"), await of_kinds(hub, "preference")
    job = await hub.desk.submit(demo, JobCreate(name="notes", dataset=version))
    await hub.queue.prepare()
    row = await hub.row(job)
    assert row["state"] == "created" and row["reason"].startswith("translating 1 dataset to chat")
    assert row["weight_digest"] and await hub.claim() is None
    await hub.queue.cancel(job)
    assert (await hub.row(job))["state"] == "cancelled"


async def test_a_translation_is_the_readers_alone_whoever_may_only_use_gets_none(
    hub: HubTables,
) -> None:
    version = await of_kinds(hub, "preference")
    await share(hub, version, "guest", Right.USE)
    with pytest.raises(NotAllowedError):
        await plan(hub, "guest", "sft", version)
    assert await plan(hub, "guest", "dpo", version) is None
    await share(hub, version, "guest", Right.VIEW)
    assert await plan(hub, "guest", "sft", version) is not None
    with pytest.raises(NotFoundError):
        await plan(hub, "mallory", "sft", version)


async def share(hub: HubTables, thing: str, name: str, right: Right) -> None:
    """Share an adapter, or the dataset of a version, with somebody."""
    principal, grants = await hub.tenant(name), tables.grants

    def give(connection) -> None:
        dataset = connection.scalar(
            tables.versions.select()
            .with_only_columns(tables.versions.c.dataset_id)
            .where(tables.versions.c.id == thing)
        )
        shared = dataset or thing
        connection.execute(
            grants.delete().where(grants.c.thing_id == shared, grants.c.principal_id == principal)
        )
        connection.execute(
            grants.insert().values(
                id=f"gr_{shared[3:]}{name}"[:29],
                created_at=hub.clock(),
                thing_id=shared,
                principal_id=principal,
                right=int(right),
                creator_id=principal,
            )
        )

    await hub.database.write(give)


async def test_a_job_whose_version_is_withdrawn_while_it_waits_fails_and_says_why(
    hub: HubTables,
) -> None:
    await hub.bind()
    demo, versions = await hub.identity("demo"), [await hub.version("demo", n) for n in "abc"]
    waiting = [
        await hub.desk.submit(demo, JobCreate(name="notes", dataset=version))
        for version in versions
    ]

    async def withdraw(version: str) -> None:
        await hub.database.write(
            lambda c: c.execute(
                tables.versions.update()
                .where(tables.versions.c.id == version)
                .values(state="withdrawn")
            )
        )

    await withdraw(versions[0])
    claim = await hub.claim()  # who takes the first finds out
    assert claim is not None and claim.job_id == waiting[1]
    await withdraw(versions[2])
    await hub.queue.fail_lossy()  # and who withdraws says so
    states = [(await hub.row(job))["state"] for job in waiting]
    assert states == ["failed", "training", "failed"]
    assert "@demo/a@1 is withdrawn" in (await hub.row(waiting[0]))["reason"]


async def test_a_task_may_take_no_adapter_to_go_on_from(hub: HubTables) -> None:
    await hub.bind()
    demo, version = await hub.identity("demo"), await hub.version("demo")
    wanted = JobCreate(name="notes", dataset=version, start_from="soap")
    base = JobBase("sft", BASE, WEIGHTS, takes_start=False)
    with pytest.raises(SpecError) as caught:
        await hub.database.read(lambda c: take_adapters(c, demo, wanted, base))
    assert caught.value.errors[0].where == "start_from"
    with pytest.raises(NotFoundError):
        await hub.desk.submit(demo, wanted)

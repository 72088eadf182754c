"""What a model name means to whom, and that a hidden name looks like none."""

from typing import TYPE_CHECKING

import pytest

from adaptery.errors import (
    AdapteryError,
    InvalidInputError,
    NotFoundError,
    NotOfferedError,
    SealedChannelRequiredError,
)
from adaptery.schemas.jobs import JobCreate
from adaptery.states import AttemptOutcome
from adaptery_hub.gateway import Target
from adaptery_hub.queue import AttemptEnd
from support.hub_tables import BASE, OTHER_WEIGHTS, WEIGHTS, fence_of

if TYPE_CHECKING:
    from conftest import Bench


async def make_adapter(bench: "Bench", owner: str = "demo", name: str = "notes") -> tuple[str, str]:
    """Return the ids of a completed job and its adapter."""
    hub = bench.hub
    await hub.bind()
    version = await hub.version(
        owner, name=f"set-{len(hub.tenants)}-{name}-{hub.clock().microsecond}"
    )
    hub.clock.forward(0.000001)
    wanted = JobCreate(name=name, dataset=version)
    job = await hub.desk.submit(await hub.identity(owner), wanted)
    claim = await hub.claim()
    assert claim is not None
    adapter = await hub.stage_adapter(claim)
    await hub.queue.finish(fence_of(claim), AttemptEnd(AttemptOutcome.COMPLETED))
    return job, adapter


async def resolve(bench: "Bench", user: str, model: str, groups: tuple[str, ...] = ()) -> Target:
    return await bench.gateway.resolver.resolve(await bench.hub.identity(user, groups), model)


async def test_the_whole_order(bench: "Bench") -> None:
    job, adapter = await make_adapter(bench)
    assert (await resolve(bench, "demo", "")).model == BASE
    assert (await resolve(bench, "demo", BASE)).adapter is None
    for name in (job, "notes", "notes@1", "@demo/notes", "@demo/notes@1"):
        target = await resolve(bench, "demo", name)
        assert target.adapter is not None and target.adapter.id == adapter, name
        assert target.model == "@demo/notes@1" and target.base_weight_digest == WEIGHTS
        assert target.adapter.weight_digest == OTHER_WEIGHTS


async def test_without_a_version_the_newest_answers(bench: "Bench") -> None:
    await make_adapter(bench)
    await make_adapter(bench)
    assert (await resolve(bench, "demo", "notes")).model == "@demo/notes@2"
    assert (await resolve(bench, "demo", "notes@1")).model == "@demo/notes@1"


@pytest.mark.parametrize("model", ["auto", "a*0.7+b*0.3"])
async def test_what_is_not_offered_yet_says_so_for_everyone(bench: "Bench", model: str) -> None:
    for user in ("demo", "guest"):
        with pytest.raises(NotOfferedError):
            await resolve(bench, user, model)


async def test_hidden_missing_and_malformed_names_end_alike(bench: "Bench") -> None:
    job, adapter = await make_adapter(bench)
    problems = set()
    for name in (
        "@demo/notes",
        "@demo/notes@1",
        "@demo/notes@9",
        "@demo/never",
        "@nobody/notes",
        "notes",
        "radiology/notes",
        job,
        "jb_01hzzzzzzzzzzzzzzzzzzzzzzz",
        adapter,
        "../../etc/passwd",
        "@demo%2Fnotes",
        "Notes",
        "x" * 399,
        "/models/functionary-small-v2.5",
    ):
        with pytest.raises(AdapteryError) as caught:
            await resolve(bench, "guest", name)
        assert type(caught.value) is NotFoundError, name
        problems.add(str(caught.value.to_openai()))
    assert len(problems) == 1


async def test_a_base_model_nobody_reported_resolves_without_weights(bench: "Bench") -> None:
    assert (await resolve(bench, "demo", "")).base_weight_digest is None


async def test_a_restricted_adapter_does_not_answer_on_the_open_channel(bench: "Bench") -> None:
    from adaptery_hub.database import tables

    await make_adapter(bench)
    await bench.hub.database.write(
        lambda c: c.execute(tables.adapters.update().values(sensitivity="restricted"))
    )
    with pytest.raises(SealedChannelRequiredError):
        await resolve(bench, "demo", "notes")
    with pytest.raises(NotFoundError):
        await resolve(bench, "guest", "@demo/notes")


async def test_a_reward_adapter_scores_answers_and_writes_none(bench: "Bench") -> None:
    from adaptery_hub.database import tables
    from adaptery_hub.database.statements import adapters

    _, adapter = await make_adapter(bench)
    await bench.hub.database.write(
        lambda c: c.execute(tables.adapters.update().values(kind="reward"))
    )
    resolver, demo = bench.gateway.resolver, await bench.hub.identity("demo")
    for asked in (
        resolver.resolve(demo, "notes"),
        resolver.resolve(demo, "notes", sealed=True),
        resolver.weights(demo, adapter),
    ):
        with pytest.raises(InvalidInputError, match="scores answers"):
            await asked
    read = bench.hub.database.read
    listed = await read(lambda c: [adapters.list_usable(c, demo, kind=k) for k in (None, "chat")])
    assert [len(rows) for rows in listed] == [1, 0]
    with pytest.raises(NotFoundError):
        await resolve(bench, "guest", "@demo/notes")

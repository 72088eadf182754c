"""The course of embeddings: split, ask, check that nothing is missing, account."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import (
    AdapteryError,
    DeadlineError,
    InsufficientQuotaError,
    InvalidInputError,
    NoAgentError,
    NotFoundError,
    RateLimitError,
    RefusedError,
    UnavailableError,
)
from adaptery.schemas.embeddings import TEXT_CHARACTERS, EmbeddingRequest
from adaptery.sealed import MESSAGE_LIMIT_BYTES, Frame
from adaptery.sealed.documents import canonical
from adaptery_hub.database import tables
from adaptery_hub.embedding_models import EmbeddingModels, EmbeddingTarget
from adaptery_hub.fleet.live import AgentView, EmbeddingModelReport
from adaptery_hub.gateway.embedding import (
    PART_TEXTS,
    REQUESTS_PER_TENANT,
    EmbeddingGateway,
    EmbedOrder,
    Vectors,
    most_tokens,
    read_vectors,
    split,
)
from adaptery_hub.gateway.routing import choose_embedder
from adaptery_hub.identity import Identity
from adaptery_hub.limits import Limit, Limits
from adaptery_hub.usage import UsageLog
from support.embedders import (
    EMBEDDING_MODELS,
    MODEL,
    MODEL_WEIGHTS,
    REPORT,
    Embedders,
    Frames,
    frames_of,
    vector_of,
)
from support.hub_tables import BASE, OTHER_WEIGHTS, HubTables, open_tables
from support.waiting import eventually

TARGET = EmbeddingTarget(MODEL, MODEL_WEIGHTS, 4, 8)
#: A grant and the other fields of an envelope, at their longest.
ENVELOPE_BYTES = 16 * 1024


@dataclass
class Bench:
    """A gateway and its agents."""

    hub: HubTables
    fleet: Embedders
    gateway: EmbeddingGateway

    async def embed(self, texts: list[str], model: str = "") -> Vectors:
        identity = await self.hub.identity("demo")
        request = EmbeddingRequest.model_validate({"input": texts, "model": model})
        return await self.gateway.embed(identity, request, "rq_1")

    async def outcomes(self) -> list[tuple[str, int]]:
        query = sa.select(tables.usage.c.outcome, tables.usage.c.prompt_tokens)
        rows = await self.hub.database.read(lambda c: c.execute(query).all())
        return [tuple(row) for row in rows]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    hub = open_tables(tmp_path)
    models = EmbeddingModels(hub.database, hub.audit, EMBEDDING_MODELS, MODEL, {})
    await models.start()
    await models.observe([REPORT])
    fleet = Embedders()
    usage = UsageLog(hub.database, hub.audit, hub.clock)
    yield Bench(hub, fleet, EmbeddingGateway(models, {BASE}, fleet, usage))
    hub.database.close()


# -- order and number -------------------------------------------------------------------------


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).map(
            lambda text: text * (TEXT_CHARACTERS // 40 if text[0] > "\u0400" else 1)
        ),
        min_size=1,
        max_size=60,
    )
)
def test_parts_hold_every_text_once_in_order_and_fit_into_a_message(texts: list[str]) -> None:
    parts = list(split(texts))
    assert [text for part in parts for text in part] == texts
    assert all(parts)
    for part in parts:
        assert len(canonical({"input": list(part)})) + ENVELOPE_BYTES < MESSAGE_LIMIT_BYTES


def test_the_longest_text_fits_however_it_is_escaped() -> None:
    for character in ("a", "\x01", "\U0001f600", "\u20ac", '"'):
        (part,) = split([character * TEXT_CHARACTERS])
        assert len(canonical({"input": list(part)})) + ENVELOPE_BYTES < MESSAGE_LIMIT_BYTES
    assert [len(part) for part in split(["x"] * (2 * PART_TEXTS + 1))] == [512, 512, 1]


async def test_vectors_come_in_the_order_of_the_texts(bench: Bench) -> None:
    texts = [f"text {n} " + "x" * (n % 37) for n in range(1300)]
    made = await bench.embed(texts)
    assert made.packed == [vector_of(text) for text in texts]
    assert [len(order.texts) for _, order in bench.fleet.asked] == [512, 512, 276]
    assert await bench.outcomes() == [("completed", made.prompt_tokens)]


def _without_last(frames: Frames) -> Frames:
    return [*frames[:-2], frames[-1]]


def _twice(frames: Frames) -> Frames:
    return [frames[0], *frames]


def _moved(frames: Frames) -> Frames:
    return [frames[1], frames[0], *frames[2:]]


def _one_more(frames: Frames) -> Frames:
    more = {"start": 7, "vectors": frames[0].value["vectors"]}
    return [*frames[:-1], Frame("data", more), frames[-1]]


def _changed(**fields: object) -> Callable[[Frames], Frames]:
    return lambda frames: [Frame("data", {**frames[0].value, **fields}), *frames[1:]]


WRONG = {
    "fewer": _without_last,
    "none": lambda frames: [],
    "repeated": _twice,
    "out of order": _moved,
    "more": _one_more,
    "no start": _changed(start=None),
    "not base64": _changed(vectors="?"),
    "no vectors": _changed(vectors=None),
    "empty": _changed(vectors=""),
    "part of a vector": _changed(vectors="AAAAAA=="),
    "not finite": _changed(vectors="AACAfwAAgH8AAIB/AACAfw=="),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
async def test_an_answer_that_is_not_whole_goes_to_another_agent_or_is_an_error(
    bench: Bench, change: Callable[[Frames], Frames]
) -> None:
    texts = [f"t{n}" for n in range(7)]
    bench.fleet.changes["ag_a"] = change
    with pytest.raises(NoAgentError, match="could not answer"):
        await bench.embed(texts)
    bench.fleet.agents = ["ag_a", "ag_b"]
    assert (await bench.embed(texts)).packed == [vector_of(text) for text in texts]
    assert await bench.outcomes() == [("no_agent", 0), ("completed", 7)]


@given(st.data())
def test_frames_cut_anywhere_never_give_another_number_of_vectors(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=30))
    frames = [f for f in frames_of(texts, data.draw(st.integers(1, 9))) if f.type == "data"]
    frames = (
        data.draw(st.lists(st.sampled_from(frames), max_size=12))
        if data.draw(st.booleans())
        else frames
    )
    found: list[bytes] = []
    with suppress(AdapteryError):
        for frame in frames:
            found += read_vectors(frame.value, found, EmbedOrder(TARGET, texts, "tn"))
    assert found == [vector_of(text) for text in texts[: len(found)]]


# -- agents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [UnavailableError(), DeadlineError(), RefusedError()])
async def test_a_part_that_fails_is_asked_of_another_agent_whole(
    bench: Bench, error: AdapteryError
) -> None:
    bench.fleet.agents = ["ag_a", "ag_b"]
    bench.fleet.failures["ag_a"] = [error]
    texts = [f"t{n}" for n in range(600)]
    assert (await bench.embed(texts)).packed == [vector_of(text) for text in texts]
    assert [agent for agent, _ in bench.fleet.asked] == ["ag_a", "ag_b", "ag_a"]


async def test_a_request_at_fault_is_asked_once(bench: Bench) -> None:
    bench.fleet.agents = ["ag_a", "ag_b"]
    bench.fleet.failures["ag_a"] = [InvalidInputError("numbers that are not finite")]
    with pytest.raises(InvalidInputError):
        await bench.embed(["x"])
    assert len(bench.fleet.asked) == 1
    assert await bench.outcomes() == [("invalid_input", 0)]


async def test_what_was_read_before_a_failure_is_accounted_for(bench: Bench) -> None:
    bench.fleet.failures["ag_a"] = []
    texts = ["one"] * PART_TEXTS + ["two"]

    def fail_at_the_second(frames: Frames) -> Frames:
        if len(bench.fleet.asked) > 1:
            raise UnavailableError("The engine went away.")
        return frames

    bench.fleet.changes["ag_a"] = fail_at_the_second
    with pytest.raises(UnavailableError):
        await bench.embed(texts)
    assert await bench.outcomes() == [("unavailable", PART_TEXTS)]


def _view(agent: str, lives: str = "live", **said: object) -> AgentView:
    (view,) = Embedders([agent]).views()
    told = replace(REPORT, **said)  # type: ignore[arg-type]
    return replace(view, state=lives, beat=replace(view.beat, embedding_models=(told,)))  # type: ignore[arg-type]


def test_a_warm_agent_is_asked_before_a_cold_one_and_never_one_with_other_weights() -> None:
    views = [
        _view("ag_cold"),
        _view("ag_busy", state="ready", running=3),
        _view("ag_warm", state="ready"),
        _view("ag_gone", "gone"),
        _view("ag_other", weight_digest=OTHER_WEIGHTS),
    ]
    order: list[str] = []
    while (chosen := choose_embedder(views, MODEL_WEIGHTS, order)) is not None:
        order.append(chosen.agent_id)
    assert order == ["ag_warm", "ag_busy", "ag_cold"]


# -- whose turn it is, and how much ---------------------------------------------------------------


async def test_a_tenant_with_many_requests_has_few_of_them_at_agents(bench: Bench) -> None:
    bench.fleet.held = True
    demo, guest = await bench.hub.identity("demo"), await bench.hub.identity("guest")
    request = EmbeddingRequest.model_validate({"input": ["x"]})

    def ask(identity: Identity, number: int) -> asyncio.Task[Vectors]:
        return asyncio.create_task(bench.gateway.embed(identity, request, f"rq_{number}"))

    tasks = [ask(demo, number) for number in range(20)] + [ask(guest, 20)]
    await eventually(lambda: len(bench.fleet.asked) >= REQUESTS_PER_TENANT + 1)
    callers = Counter(order.caller for _, order in bench.fleet.asked)
    assert callers == {demo.tenant_id: REQUESTS_PER_TENANT, guest.tenant_id: 1}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not len(bench.gateway._shares)


async def test_limits_of_a_user_hold_for_embeddings_and_are_given_back(bench: Bench) -> None:
    limits = Limits(
        bench.hub.database, user=Limit(answers=1, tokens_per_day=20), clock=bench.hub.clock
    )
    usage = UsageLog(bench.hub.database, bench.hub.audit, bench.hub.clock)
    gateway = EmbeddingGateway(bench.gateway.models, {BASE}, bench.fleet, usage, limits)
    identity = await bench.hub.identity("demo")
    told: dict[str, str] = {}

    async def ask(texts: list[str], number: int) -> Vectors:
        request = EmbeddingRequest.model_validate({"input": texts})
        return await gateway.embed(identity, request, f"rq_{number}", told.update)

    bench.fleet.held = True
    running = asyncio.create_task(ask(["one"], 1))
    await eventually(lambda: bench.fleet.asked)
    with pytest.raises(RateLimitError, match="1 answers running"):
        await ask(["two"], 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    bench.fleet.held = False
    await ask(["a b c d e"] * 4, 3)  # 20 tokens
    assert told["x-ratelimit-limit-tokens"] == "20"
    with pytest.raises(InsufficientQuotaError):
        await ask(["x"], 4)


def test_no_text_has_more_tokens_than_is_reckoned() -> None:
    assert most_tokens(["a", "b" * 500], 256) == 3 + 256


# -- names --------------------------------------------------------------------------------------


async def test_names_of_other_things_are_told_apart_without_a_look(bench: Bench) -> None:
    with pytest.raises(InvalidInputError, match="chat model"):
        await bench.embed(["x"], BASE)
    for name in ("@demo/soap", "auto", "TINY/tiny-embedder", f"{MODEL} "):
        with pytest.raises(NotFoundError, match="no such embedding model"):
            await bench.embed(["x"], name)
    assert (await bench.embed(["x"], MODEL)).model == (await bench.embed(["x"])).model == MODEL


async def test_the_first_report_binds_the_weights_and_others_are_not_heard(bench: Bench) -> None:
    models = bench.gateway.models
    other = EmbeddingModelReport(MODEL, OTHER_WEIGHTS, 9, 9)
    unknown = EmbeddingModelReport("no/such", OTHER_WEIGHTS, 9, 9)
    await models.observe([other, unknown])
    assert models.resolve("", ()) == TARGET
    assert models.report("no/such") is None

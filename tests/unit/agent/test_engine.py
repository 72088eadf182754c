"""The engine's supervisor, the adapters it holds and the answers, with a real small engine."""

import json
import os
import signal
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from adaptery.errors import (
    AdapteryError,
    ContextLengthError,
    EngineBusyError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from adaptery.ids import new_id
from adaptery_network.agent.adapter_cache import AdapterCache
from adaptery_network.agent.base_models import BaseModel
from adaptery_network.agent.engine import ENGINE_MARK, Engine, EngineTiming
from adaptery_network.agent.folders import digest_name
from adaptery_network.agent.inference import EngineSeat, InferenceServer
from adaptery_network.agent.processes import find_marked
from adaptery_network.agent.residents import Residents
from support.agent_side import program
from support.agent_side.desk import DeskLine, ServiceDesk
from support.agent_side.folders import make_adapter
from support.agent_side.orders import SESSION_KEY, make_grant
from support.agent_side.specs import BASE_DIGEST
from support.waiting import eventually

QUICK = EngineTiming(
    start_seconds=20, ready_poll_seconds=0.02, health_seconds=0.05, backoff_first_seconds=0.02
)
CANARY = "canary-7c1f"


class Table:
    """One engine with its adapters, and a desk for each adapter of the service."""

    def __init__(self, root: Path, limit: int = 2) -> None:
        self.root = root
        model = root / "model"
        model.mkdir()
        said = {"name": "tiny", "weight_digest": BASE_DIGEST, "source": "x"}
        (model / "base_model.json").write_text(json.dumps(said))
        self.folder = root / "engine"
        self.folder.mkdir()
        self.engine = Engine(
            BaseModel("tiny", BASE_DIGEST, model),
            folder=self.folder,
            command=program("engine"),
            threads=1,
            timing=QUICK,
        )
        self.cache = AdapterCache(root / "adapters", 10**9)
        self.residents = Residents(self.engine, self.cache, limit)
        self.desks: dict[str, ServiceDesk] = {}
        self.server = InferenceServer(self.find_seat, lambda s: DeskLine(self.desks[s.id]))

    def find_seat(self, name, digest):
        if (name, digest) != ("tiny", BASE_DIGEST):
            raise NotFoundError
        return EngineSeat(self.engine, self.residents)

    def offer(self, value: float) -> tuple[str, str]:
        """Make an adapter that the service has; return its id and its weight digest."""
        adapter = new_id("ad")
        folder = self.root / "of-service" / adapter
        digest = make_adapter(folder, value)
        desk = self.desks[adapter] = ServiceDesk()
        desk.offer(folder, "adapter")
        return adapter, digest

    def body(self, adapter=None, text="hello", **request):
        messages = [{"role": "user", "content": text}]
        body = {
            "path": "chat/completions",
            "request": {"messages": messages, "stream": True, "max_tokens": 3, **request},
            "base_model": {"name": "tiny", "weight_digest": BASE_DIGEST},
            "adapter": None,
        }
        if adapter:
            session = {"id": adapter[0], "key": SESSION_KEY}
            body["adapter"] = {
                "id": adapter[0],
                "weight_digest": adapter[1],
                "session": session,
            }
        return body

    async def ask(self, adapter=None, text="hello", grant=None, **request):
        if grant is None:
            thing, digest = adapter or ("tiny", None)
            grant = make_grant(thing, "infer", digest)
        body = self.body(adapter, text, **request)
        return [item async for item in self.server.answer(grant, body)]

    def notes(self) -> list[str]:
        path = self.folder / "engine-events"
        return path.read_text().splitlines() if path.exists() else []


def text_of(items):
    return "".join(
        choice["delta"].get("content", "")
        for kind, chunk in items
        if kind == "data"
        for choice in chunk["choices"]
    )


@asynccontextmanager
async def set_table(root, **options):
    table = Table(root, **options)
    try:
        yield table
    finally:
        await table.engine.stop()
        assert not find_marked({ENGINE_MARK: str(table.folder)})


@pytest.fixture
async def table(tmp_path):
    async with set_table(tmp_path) as table:
        yield table


async def test_the_base_model_answers_with_text_and_usage(table):
    items = await table.ask(text="hello")
    assert text_of(items) == "You asked tiny: hello 0 1 2"
    assert items[-1][0] == "usage"
    assert items[-1][1]["prompt_tokens"] == 5
    assert (table.folder / "token").stat().st_mode & 0o777 == 0o600


async def test_the_salt_of_the_tenant_reaches_the_engine_and_nothing_else_does(table):
    await table.ask(cache_salt="of-a-tenant", lora_path="/etc", adapter_id="ad_x")
    fields = ["max_tokens", "messages", "model", "stream", "stream_options"]
    assert table.notes()[-2:] == [f"fields {['cache_salt', *fields]}", "salt of-a-tenant"]
    await table.ask(cache_salt={"not": "a text"})
    assert table.notes()[-1] == f"fields {fields}"


async def test_an_adapter_is_fetched_loaded_and_asked_by_its_digest(table):
    adapter = table.offer(1.0)
    items = await table.ask(adapter)
    assert text_of(items).startswith(f"You asked {digest_name(adapter[1])}: ")
    assert table.residents.digests == (adapter[1],)
    await table.ask(adapter)
    assert table.desks[adapter[0]].counts["list"] == 1, "the second question finds it"
    assert table.notes().count(f"load {digest_name(adapter[1])}") == 1


async def test_tokens_that_come_together_travel_together_and_slow_ones_at_once(table):
    quick = await table.ask(max_tokens=200)
    assert len(quick) < 100
    slow = await table.ask(text="slowly", max_tokens=4)
    assert len([item for item in slow if item[0] == "data"]) >= 8


async def test_the_least_recently_used_adapter_makes_room(table):
    first, second, third = (table.offer(value) for value in (1.0, 2.0, 3.0))
    for adapter in (first, second, first, third):
        await table.ask(adapter)
    assert set(table.residents.digests) == {first[1], third[1]}
    assert f"unload {digest_name(second[1])}" in table.notes()


async def test_an_adapter_in_use_is_not_unloaded(tmp_path):
    async with set_table(tmp_path, limit=1) as table:
        first, second = table.offer(1.0), table.offer(2.0)
        body = table.body(first, "slowly")
        grant = make_grant(first[0], "infer", first[1])
        async with aclosing(table.server.answer(grant, body)) as items:
            await anext(items)
            with pytest.raises(EngineBusyError):
                await table.ask(second)
        await table.ask(second)
        assert table.residents.digests == (second[1],)


async def test_leaving_early_ends_the_request_in_the_engine(table):
    body = table.body(None, "slowly", max_tokens=100)
    async with aclosing(table.server.answer(make_grant("tiny", "infer"), body)) as items:
        await anext(items)
    await eventually(lambda: "reader left" in table.notes())


async def test_an_engine_that_dies_is_brought_back_and_adapters_are_loaded_again(table):
    adapter = table.offer(1.0)
    await table.ask(adapter)
    (process,) = find_marked({ENGINE_MARK: str(table.folder)})
    os.kill(process.pid, signal.SIGKILL)
    await eventually(lambda: table.engine.generation == 2)
    assert table.residents.digests == ()
    assert text_of(await table.ask(adapter)).endswith(" 0 1 2")
    assert table.notes().count(f"load {digest_name(adapter[1])}") == 2


async def test_an_adapter_that_the_engine_forgot_is_loaded_again(table):
    adapter = table.offer(1.0)
    await table.ask(adapter)
    client = await table.engine.client()
    await client.unload_adapter(digest_name(adapter[1]))
    assert text_of(await table.ask(adapter)).endswith(" 0 1 2")


async def test_an_answer_that_breaks_off_is_an_error_and_not_repeated(table):
    got = []
    body = table.body(None, "break slowly")
    with pytest.raises(UnavailableError):
        async for item in table.server.answer(make_grant("tiny", "infer"), body):
            got.append(item)
    assert 0 < len(got) < 7


async def test_an_engine_of_an_earlier_life_is_ended(tmp_path):
    async with set_table(tmp_path) as table:
        await table.engine.client()
        (orphan,) = find_marked({ENGINE_MARK: str(table.folder)})
        later = Engine(
            table.engine.model,
            folder=table.folder,
            command=program("engine"),
            threads=1,
            timing=QUICK,
        )
        await table.engine.stop()
        await later.client()
        assert not orphan.is_running()
        await later.stop()


async def test_only_the_granted_adapter_answers(table):
    mine, other = table.offer(1.0), table.offer(2.0)
    for grant in (
        make_grant(other[0], "infer", mine[1]),
        make_grant(mine[0], "infer", other[1]),
        make_grant(mine[0], "infer", None),
        make_grant("tiny", "infer", None),
    ):
        with pytest.raises(RefusedError):
            await table.ask(mine, grant=grant)
    with pytest.raises(RefusedError):
        await table.ask(grant=make_grant(mine[0], "infer", mine[1]))
    assert table.notes() == []


async def test_weights_that_are_not_those_of_the_digest_are_never_loaded(table):
    adapter, other = table.offer(1.0), table.offer(2.0)
    table.desks[adapter[0]].offered = table.desks[other[0]].offered
    with pytest.raises(IntegrityError):
        await table.ask(adapter)
    assert table.cache.find(adapter[1]) is None


async def test_the_engine_gets_typed_fields_only_and_never_more_tokens_than_granted(table):
    grant = make_grant("tiny", "infer", None, max_tokens=2)
    items = await table.ask(grant=grant, max_tokens=50, adapter_id=CANARY, lora_path="/etc")
    assert text_of(items).endswith(": hello 0 1")
    fields = ["max_tokens", "messages", "model", "stream", "stream_options"]
    assert f"fields {fields}" in table.notes()


async def test_an_answer_whose_length_nobody_named_ends_with_the_context(table):
    grant = make_grant("tiny", "infer", None, max_tokens=512)
    items = await table.ask(text="crowded", grant=grant, max_tokens=None)
    assert text_of(items).startswith("You asked tiny: ")
    with pytest.raises(ContextLengthError):
        await table.ask(text="crowded", grant=grant, max_tokens=2)


async def test_no_error_or_log_holds_a_prompt(table, caplog):
    caplog.set_level("DEBUG")
    said = []
    for request in ({"temperature": "hot"}, {"messages": CANARY}, {"max_tokens": -1}):
        with pytest.raises(InvalidInputError) as caught:
            await table.ask(text=CANARY, **request)
        said.append(str(caught.value))
    with pytest.raises(AdapteryError) as broken:
        await table.ask(text=f"{CANARY} break")
    await table.ask(text=CANARY)
    said += [str(broken.value), *(record.getMessage() for record in caplog.records)]
    assert CANARY not in "\n".join(said)


async def test_an_engine_that_cannot_start_is_busy_not_silent(tmp_path):
    async with set_table(tmp_path) as table:
        table.engine._command = ("/nowhere/at/all",)
        with pytest.raises(EngineBusyError):
            await table.engine.client(timeout_seconds=0.1)
        assert table.engine.state in ("failed", "starting")

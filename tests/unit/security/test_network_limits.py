"""One agent of many cannot use up what the service keeps for all of them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping

import pytest

from adaptery.answer_shapes import COUNT_LIMIT, Usage
from adaptery.errors import IntegrityError, SlowReaderError
from adaptery.sealed import Frame, Grant, JsonObject, Session, derive_session_key
from adaptery_network import arrivals
from adaptery_network import sessions as sessions_module
from adaptery_network.caller import Caller
from adaptery_network.sealed_server import Item, SealedServer
from adaptery_network.sessions import SessionClient, SessionServer
from support import sealed_parties as parties
from support.loop_transport import LoopBus, LoopTransport
from support.sealed_parties import AGENT, OWNER, SUBJECT

GREEDY = "ag_01j00000000000000000000009"
ATTEMPT = "at_01j00000000000000000000005"
MASTER = b"\x08" * 32


def resolve(session_id: str, agent: str) -> Session | None:
    return Session(derive_session_key(MASTER, session_id, agent), session_id)


class Desk:
    """Answers at once, but one operation of which waits."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = 0

    async def handle(
        self, agent: str, session_id: str, header: JsonObject, blob: bytes
    ) -> tuple[Mapping[str, object], bytes]:
        if header["op"] == "slow":
            self.waiting += 1
            await self.gate.wait()
        return {"op": header["op"]}, b""


class Bench:
    def __init__(self) -> None:
        self.bus = LoopBus()
        self.desk = Desk()
        self.clock = parties.Clock()
        self.service = LoopTransport(self.bus, "service")
        self.server = SessionServer(
            self.service, OWNER, resolve, self.desk.handle, clock=self.clock
        )

    def client(self, agent: str) -> SessionClient:
        session = Session(derive_session_key(MASTER, ATTEMPT, agent), ATTEMPT)
        transport = LoopTransport(self.bus, agent)
        times = {"answer_seconds": 2.0, "retry_seconds": 0.0}
        return SessionClient(transport, OWNER, agent, session, clock=self.clock, **times)


async def test_slow_operations_of_one_agent_hold_up_no_other() -> None:
    bench = Bench()
    await bench.server.start()
    greedy = bench.client(GREEDY)
    flood = [
        asyncio.create_task(greedy.request("bulk", {"op": "slow"}))
        for _ in range(3 * sessions_module.AGENT_WAITING_LIMIT)
    ]
    while bench.desk.waiting < sessions_module.AGENT_OPEN_LIMIT:
        await asyncio.sleep(0)
    answer, _ = await bench.client(AGENT).request("report", {"op": "report"})
    assert answer == {"op": "report"}
    assert bench.desk.waiting == sessions_module.AGENT_OPEN_LIMIT
    assert bench.server.refusals["overload"]
    bench.desk.gate.set()
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    await bench.server.stop()
    await bench.service.close()


async def test_nonces_of_one_agent_leave_room_for_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions_module, "NONCE_LIMIT", 5)
    bench = Bench()
    await bench.server.start()
    greedy = bench.client(GREEDY)
    for _ in range(5):
        await greedy.request("bulk", {"op": "list"})
    answer, _ = await bench.client(AGENT).request("report", {"op": "report"})
    assert answer == {"op": "report"}
    await bench.server.stop()
    await bench.service.close()


async def stream_of(handler: object) -> list[Frame]:
    bus, clock = LoopBus(), parties.Clock()
    agent, service = LoopTransport(bus, "agent"), LoopTransport(bus, "service")
    opener = parties.opener(clock)
    server = SealedServer(agent, SUBJECT, "infer", opener, handler)  # type: ignore[arg-type]
    await server.start()
    caller = Caller(service, clock=clock)
    frames: list[Frame] = []
    try:
        stream = caller.stream(
            parties.card(), "infer", lambda key: parties.token(caller_key=key), {}, 5
        )
        async for frame in stream:
            frames.append(frame)
    finally:
        await server.stop()
        await agent.close()
        await service.close()
    return frames


async def endless(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
    while True:
        yield "data", {"text": "x" * 1000}


async def test_an_endless_answer_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "REPLY_LIMIT_BYTES", 50_000)
    with pytest.raises(IntegrityError, match="larger"):
        await asyncio.wait_for(stream_of(endless), 10)


async def test_what_a_slow_reader_leaves_unread_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrivals, "UNREAD_LIMIT_BYTES", 50_000)
    bus, clock = LoopBus(), parties.Clock()
    agent, service = LoopTransport(bus, "agent"), LoopTransport(bus, "service")
    server = SealedServer(agent, SUBJECT, "infer", parties.opener(clock), endless)
    await server.start()
    frames = Caller(service, clock=clock).stream(
        parties.card(), "infer", lambda key: parties.token(caller_key=key), {}, 5
    )
    await anext(frames)
    while len(bus.seen) < 400:  # the reader takes nothing, the agent goes on
        await asyncio.sleep(0)
    with pytest.raises(SlowReaderError, match="faster"):
        async with asyncio.timeout(10):
            while True:
                await anext(frames)
    await server.stop()
    await agent.close()
    await service.close()


@pytest.mark.parametrize("said", [2**31, 2**63, 10**30])
def test_the_tokens_that_an_agent_tells_fit_the_accounts(said: int) -> None:
    usage = Usage.read({"prompt_tokens": said, "completion_tokens": said})
    assert usage == Usage(COUNT_LIMIT, COUNT_LIMIT) and COUNT_LIMIT < 2**31

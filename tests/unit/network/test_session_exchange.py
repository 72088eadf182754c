import asyncio
from collections.abc import Mapping

import pytest

from adaptery.errors import IntegrityError, LeaseLostError, RefusedError, UnavailableError
from adaptery.sealed import JsonObject, Session, derive_session_key
from adaptery_network import subjects
from adaptery_network.sessions import SessionClient, SessionServer
from adaptery_network.transport import Message
from support import sealed_parties as parties
from support.loop_transport import LoopBus, LoopTransport
from support.sealed_parties import AGENT, OWNER

ATTEMPT = "at_01j00000000000000000000005"
MASTER = b"\x08" * 32
CANARY = "canary-91ee"


def resolve(session_id: str, agent: str) -> Session | None:
    if session_id != ATTEMPT:
        return None
    return Session(derive_session_key(MASTER, session_id, agent), session_id)


class Desk:
    """Counts what it is asked, and does it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, JsonObject, bytes]] = []
        self.away = 0

    async def handle(
        self, agent: str, session_id: str, header: JsonObject, blob: bytes
    ) -> tuple[Mapping[str, object], bytes]:
        self.asked.append((agent, session_id, header, blob))
        if self.away:
            self.away -= 1
            raise UnavailableError
        if header["op"] == "lost":
            raise LeaseLostError("Attempt 1 lost its lease.")
        if header["op"] == "bug":
            raise KeyError(CANARY)
        return {"op": header["op"]}, blob[::-1]


class Bench:
    def __init__(self, bus: LoopBus | None = None) -> None:
        self.bus = bus or LoopBus()
        self.desk = Desk()
        self.clock = parties.Clock()
        self.service_side = LoopTransport(self.bus, "service")
        self.agent_side = LoopTransport(self.bus, "agent")
        self.server = SessionServer(
            self.service_side, OWNER, resolve, self.desk.handle, clock=self.clock
        )

    def client(self, agent: str = AGENT, key: bytes | None = None, **times: float) -> SessionClient:
        session = Session(key or derive_session_key(MASTER, ATTEMPT, AGENT), ATTEMPT)
        limits = {"answer_seconds": 1.0, "retry_seconds": 5.0} | times
        return SessionClient(self.agent_side, OWNER, agent, session, clock=self.clock, **limits)

    async def __aenter__(self) -> "Bench":
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()
        await self.service_side.close()
        await self.agent_side.close()


@pytest.mark.parametrize("kind", ["report", "bulk"])
async def test_a_request_is_answered_and_names_its_agent_and_session(kind):
    async with Bench() as bench:
        answer = await bench.client().request(kind, {"op": "read"}, b"abc")
        assert answer == ({"op": "read"}, b"cba")
        assert bench.desk.asked == [(AGENT, ATTEMPT, {"op": "read"}, b"abc")]


async def test_an_error_of_the_operation_is_raised_as_itself():
    async with Bench() as bench:
        with pytest.raises(LeaseLostError, match="Attempt 1"):
            await bench.client().request("report", {"op": "lost"})


async def test_a_bug_in_the_service_shows_no_content(caplog: pytest.LogCaptureFixture):
    async with Bench() as bench:
        with pytest.raises(Exception, match="unexpected error") as caught:
            await bench.client().request("report", {"op": "bug"})
        assert CANARY not in str(caught.value)
        assert CANARY not in caplog.text


async def test_it_asks_again_while_the_service_is_away():
    async with Bench() as bench:
        bench.desk.away = 2
        assert await bench.client().request("report", {"op": "list"}) == ({"op": "list"}, b"")
        assert len(bench.desk.asked) == 3


async def test_it_gives_up_in_the_end():
    bench = Bench()
    with pytest.raises(UnavailableError):
        await bench.client(retry_seconds=0.2).request("report", {"op": "list"})


async def test_another_agents_subject_and_an_unknown_session_are_refused():
    async with Bench() as bench:
        with pytest.raises(RefusedError):
            await bench.client(agent=AGENT[:-1] + "9").request("report", {"op": "list"})
        with pytest.raises(RefusedError):
            await bench.client(key=bytes(32)).request("report", {"op": "list"})
        stranger = SessionClient(
            bench.agent_side, OWNER, AGENT, Session(bytes(32), "at_unknown"), clock=bench.clock
        )
        with pytest.raises(RefusedError):
            await stranger.request("report", {"op": "list"})
        assert bench.desk.asked == []
        assert bench.server.refusals == {"seal": 3}


async def test_a_replayed_and_an_old_message_are_refused():
    async with Bench() as bench:
        await bench.client().request("report", {"op": "list"})
        sent = next(m for m in bench.bus.seen if m.subject == subjects.report(OWNER, AGENT))
        again = await bench.agent_side.request(sent.subject, sent.payload, 1)
        assert again.payload.endswith(b"refused")
        session = Session(derive_session_key(MASTER, ATTEMPT, AGENT), ATTEMPT)
        old = session.seal("up", sent.subject, {"op": "list"}, sent_at=bench.clock())
        bench.clock.move(61)
        again = await bench.agent_side.request(sent.subject, old, 1)
        assert again.payload.endswith(b"refused")
        assert len(bench.desk.asked) == 1
        assert bench.server.refusals == {"replay": 1, "stale": 1}


class SwapsAnswers(LoopBus):
    """Gives the first answer to every later request too."""

    def __init__(self) -> None:
        super().__init__()
        self._first: bytes | None = None

    def carry(self, message: Message) -> None:
        if message.subject.startswith("_INBOX_agent"):
            self._first = self._first or message.payload
            message = Message(message.subject, self._first)
        self.deliver(message)


async def test_an_answer_to_another_request_is_not_accepted():
    async with Bench(SwapsAnswers()) as bench:
        await bench.client().request("report", {"op": "read"})
        with pytest.raises(IntegrityError):
            await bench.client().request("report", {"op": "finish"})


async def test_many_requests_at_a_time_are_all_answered():
    async with Bench() as bench:
        client = bench.client()
        answers = await asyncio.gather(
            *(client.request("bulk", {"op": "write", "offset": n}, b"x" * n) for n in range(200))
        )
        assert [len(blob) for _, blob in answers] == list(range(200))

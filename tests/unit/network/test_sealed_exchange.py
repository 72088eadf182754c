"""A caller and a sealed server over a good network and over bad ones."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from adaptery.errors import (
    DeadlineError,
    EngineBusyError,
    IntegrityError,
    InternalError,
    NoAgentError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from adaptery.sealed import REFUSAL, Frame, Grant, JsonObject, RequestOpener, sign_grant
from adaptery_network.caller import Caller
from adaptery_network.channels import Channel
from adaptery_network.sealed_server import Item, SealedHandler, SealedServer
from adaptery_network.transport import Message
from support import sealed_parties as parties
from support.loop_transport import LoopBus, LoopTransport
from support.sealed_parties import SUBJECT
from support.waiting import eventually

CANARY = "canary-5b1c"
BODY = {"prompt": CANARY}


def grant_for(caller_key: str) -> str:
    return parties.token(caller_key=caller_key)


class Bench:
    """One agent that serves a handler, and a caller."""

    def __init__(self, bus: LoopBus) -> None:
        self.bus = bus
        self.clock = parties.Clock()
        self.opener: RequestOpener = parties.opener(self.clock)
        self.agent_side = LoopTransport(bus, "agent")
        self.service_side = LoopTransport(bus, "service")
        self.caller = Caller(self.service_side, clock=self.clock)

    async def call(self, timeout_seconds: float = 5) -> JsonObject:
        return await self.caller.call(parties.card(), "infer", grant_for, BODY, timeout_seconds)

    def stream(self, timeout_seconds: float = 5) -> AsyncGenerator[Frame, None]:
        return self.caller.stream(parties.card(), "infer", grant_for, BODY, timeout_seconds)


@asynccontextmanager
async def serving(
    handler: SealedHandler, bus: LoopBus | None = None, **limits: float
) -> AsyncIterator[tuple[Bench, SealedServer]]:
    bench = Bench(bus or LoopBus())
    server = SealedServer(
        bench.agent_side,
        SUBJECT,
        "infer",
        bench.opener,
        handler,
        **limits,  # type: ignore[arg-type]
    )
    await server.start()
    try:
        yield bench, server
    finally:
        await server.stop()
        await bench.agent_side.close()
        await bench.service_side.close()


async def echo(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
    yield "data", {"echo": body["prompt"], "thing": grant.thing}


async def three(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
    for number in range(3):
        yield "data", {"n": number}
    yield "usage", {"completion_tokens": 3}


class Endless:
    """A handler that never ends by itself, and says when it was closed."""

    def __init__(self) -> None:
        self.closed = 0
        self.started = 0

    async def __call__(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        self.started += 1
        try:
            yield "data", {"n": 0}
            await asyncio.Event().wait()
        finally:
            self.closed += 1


async def test_a_call_gets_its_one_answer():
    async with serving(echo) as (bench, server):
        assert await bench.call() == {"echo": CANARY, "thing": parties.grant().thing}
        await eventually(lambda: server.open_replies == 0)


async def test_a_stream_gets_data_and_usage_in_order_and_then_ends():
    async with serving(three) as (bench, _):
        frames = [frame async for frame in bench.stream()]
        assert [(f.type, f.value) for f in frames] == [
            ("data", {"n": 0}),
            ("data", {"n": 1}),
            ("data", {"n": 2}),
            ("usage", {"completion_tokens": 3}),
        ]


async def test_nothing_on_the_wire_shows_prompt_or_answer():
    async with serving(echo) as (bench, _):
        await bench.call()
        assert not any(CANARY.encode() in message.payload for message in bench.bus.seen)


async def test_calls_beside_each_other_do_not_mix():
    async def mirror(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        yield "data", {"caller_key": grant.caller_key}

    async with serving(mirror) as (bench, _):
        answers = await asyncio.gather(*(bench.call() for _ in range(20)))
        assert len({str(answer["caller_key"]) for answer in answers}) == 20


@pytest.mark.parametrize("handler", [three])
async def test_more_than_one_answer_to_a_call_is_an_integrity_error(handler: SealedHandler):
    async with serving(handler) as (bench, _):
        with pytest.raises(IntegrityError, match="more than one"):
            await bench.call()


async def test_no_answer_to_a_call_is_an_integrity_error():
    async def silent(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        return
        yield

    async with serving(silent) as (bench, _):
        with pytest.raises(IntegrityError, match="without an answer"):
            await bench.call()


async def test_an_error_of_the_handler_is_raised_as_itself_after_what_came_before():
    async def fails(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        yield "data", {"n": 0}
        raise NotFoundError("There is no such adapter here.", hint="Load it.")

    async with serving(fails) as (bench, _):
        seen = []
        with pytest.raises(NotFoundError, match="no such adapter") as caught:
            async for frame in bench.stream():
                seen.append(frame.value)
        assert seen == [{"n": 0}]
        assert caught.value.hint == "Load it."


@pytest.mark.parametrize("error", [ValueError, TimeoutError, KeyError])
async def test_a_bug_in_the_handler_shows_a_request_id_and_no_content(
    error: type[Exception], caplog: pytest.LogCaptureFixture
):
    async def breaks(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        raise error(body["prompt"])
        yield

    caplog.set_level(logging.DEBUG)
    async with serving(breaks) as (bench, _):
        with pytest.raises(InternalError) as caught:
            await bench.call()
    assert CANARY not in str(caught.value)
    assert CANARY not in caplog.text
    assert caught.value.request_id in caplog.text
    assert error.__name__ in caplog.text


async def test_closing_a_stream_early_stops_the_handler():
    endless = Endless()
    async with serving(endless) as (bench, server):
        async with aclosing(bench.stream()) as frames:
            await anext(frames)
        await eventually(lambda: endless.closed == 1)
        await eventually(lambda: server.open_replies == 0)


async def test_cancelling_the_reader_stops_the_handler():
    endless = Endless()
    async with serving(endless) as (bench, _):
        task = asyncio.create_task(bench.call(timeout_seconds=60))
        await eventually(lambda: endless.started == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: endless.closed == 1)


async def test_a_timeout_is_a_deadline_error_and_stops_the_handler():
    endless = Endless()
    async with serving(endless) as (bench, _):
        with pytest.raises(DeadlineError):
            await bench.call(timeout_seconds=0.1)
        await eventually(lambda: endless.closed == 1)
        with pytest.raises(DeadlineError):
            async for _ in bench.stream(timeout_seconds=0.1):
                pass
        await eventually(lambda: endless.closed == 2)


async def test_a_cancel_that_the_caller_did_not_make_does_nothing():
    endless = Endless()
    async with serving(endless) as (bench, server), aclosing(bench.stream()) as frames:
        await anext(frames)
        reply = next(m.reply for m in bench.bus.seen if m.subject == SUBJECT)
        for forged in (b"\x80", b"\x80" + bytes(16)):
            await bench.service_side.publish(SUBJECT, forged, reply)
            await bench.service_side.publish(SUBJECT, forged)
        await eventually(lambda: server.open_replies == 1)
        assert endless.closed == 0


async def test_the_limit_of_a_reply_is_a_deadline_error():
    endless = Endless()
    async with serving(endless, limit_seconds=0.05) as (bench, _):
        with pytest.raises(DeadlineError, match=r"more than 0\.05 s"):
            await bench.call()
        assert endless.closed == 1


async def test_one_reply_too_many_is_busy():
    endless = Endless()
    async with serving(endless, open_limit=1) as (bench, _), aclosing(bench.stream()) as frames:
        await anext(frames)
        with pytest.raises(EngineBusyError):
            await bench.call()


async def test_stopping_the_server_ends_open_replies_with_a_reason():
    endless = Endless()
    async with serving(endless) as (bench, server):
        async with aclosing(bench.stream()) as frames:
            await anext(frames)
            await server.stop()
            with pytest.raises(UnavailableError, match="stopping"):
                await anext(frames)
        assert endless.closed == 1


async def test_no_agent_is_known_at_once():
    bench = Bench(LoopBus())
    with pytest.raises(NoAgentError):
        await bench.call(timeout_seconds=60)


async def test_a_lost_connection_ends_a_stream_at_once():
    endless = Endless()
    async with (
        serving(endless) as (bench, _),
        aclosing(bench.stream(timeout_seconds=60)) as frames,
    ):
        await anext(frames)
        bench.service_side.lose()
        with pytest.raises(UnavailableError):
            await anext(frames)


async def test_an_agent_that_lost_its_connection_stops_the_handler():
    gate = asyncio.Event()
    closed = asyncio.Event()

    async def gated(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        try:
            yield "data", {"n": 0}
            await gate.wait()
            yield "data", {"n": 1}
        finally:
            closed.set()

    async with serving(gated) as (bench, _), aclosing(bench.stream()) as frames:
        await anext(frames)
        bench.agent_side.lose()
        gate.set()
        await asyncio.wait_for(closed.wait(), 5)
        with pytest.raises(DeadlineError):
            await bench.caller.call(parties.card(), "infer", grant_for, BODY, 0.05)


class BadNetwork(LoopBus):
    """Does something to the frames of replies."""

    def __init__(self, change: Callable[[int, Message], list[Message]]) -> None:
        super().__init__()
        self._change = change
        self._frames = 0

    def carry(self, message: Message) -> None:
        if not message.subject.startswith("_INBOX"):
            self.deliver(message)
            return
        for changed in self._change(self._frames, message):
            self.deliver(changed)
        self._frames += 1


def flipped(message: Message) -> Message:
    payload = message.payload[:-1] + bytes([message.payload[-1] ^ 1])
    return Message(message.subject, payload, message.reply)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda n, m: [] if n == 1 else [m], id="a frame is lost"),
        pytest.param(lambda n, m: [m, m] if n == 1 else [m], id="a frame is repeated"),
        pytest.param(lambda n, m: [flipped(m)] if n == 1 else [m], id="a frame is altered"),
        pytest.param(lambda n, m: [Message(m.subject, b"")] if n == 1 else [m], id="emptied"),
    ],
)
async def test_what_a_bad_network_does_to_a_stream_is_seen(
    change: Callable[[int, Message], list[Message]],
):
    async with serving(three, BadNetwork(change)) as (bench, _):
        with pytest.raises(IntegrityError):
            async for _ in bench.stream():
                pass


async def test_a_cut_stream_never_looks_complete():
    async with serving(three, BadNetwork(lambda n, m: [m] if n < 4 else [])) as (bench, _):
        seen = []
        with pytest.raises(DeadlineError):
            async for frame in bench.stream(timeout_seconds=0.1):
                seen.append(frame)
        assert len(seen) == 4


async def test_a_refusal_is_the_same_for_each_reason():
    def expired(key: str) -> str:
        return parties.token(caller_key=key, not_after=parties.START)

    def strange(key: str) -> str:
        return sign_grant(parties.grant(caller_key=key), parties.STRANGER)

    async with serving(echo) as (bench, _):
        said = set()
        for make in (expired, strange, lambda key: parties.token(), lambda key: ""):
            with pytest.raises(RefusedError) as caught:
                await bench.caller.call(parties.card(), "infer", make, BODY, 5)
            said.add((str(caught.value), json.dumps(caught.value.to_problem("rq"))))
        assert len(said) == 1
        assert sum(m.payload == REFUSAL for m in bench.bus.seen) == 4
        assert set(bench.opener.refusals) == {"grant_expired", "grant", "signature", "no_grant"}
        assert bench.opener.accepted == 0


async def test_a_replayed_request_is_refused_and_the_true_reply_goes_on():
    gate = asyncio.Event()

    async def gated(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        yield "data", {"n": 0}
        await gate.wait()
        yield "data", {"n": 1}

    async with serving(gated) as (bench, _):
        async with aclosing(bench.stream()) as frames:
            await anext(frames)
            request = next(m for m in bench.bus.seen if m.subject == SUBJECT)
            await bench.service_side.publish(SUBJECT, request.payload, request.reply)
            await bench.service_side.publish(SUBJECT, request.payload, "_INBOX_thief.1")
            await eventually(lambda: sum(bench.opener.refusals.values()) == 2)
            gate.set()
            assert (await anext(frames)).value == {"n": 1}
        assert bench.opener.refusals == {"replay": 1, "signature": 1}
        assert bench.opener.accepted == 1


def by(channel: Channel, bench: Bench) -> AsyncGenerator[Frame, None]:
    return bench.caller.stream(parties.card(), "infer", grant_for, BODY, 5, channel=channel)


def kinds(bench: Bench) -> list[int]:
    return [message.payload[0] for message in bench.bus.seen if message.subject == SUBJECT]


async def test_the_first_request_of_a_channel_is_sealed_in_full_and_the_others_by_it():
    channel = Channel(parties.card(), "infer", parties.CALLER)
    async with serving(three) as (bench, _):
        for _ in range(3):
            assert len([frame async for frame in by(channel, bench)]) == 4
        assert kinds(bench) == [1, 0x81, 0x81]
        assert bench.opener.accepted == 3


async def test_requests_that_begin_together_go_by_one_channel():
    channel = Channel(parties.card(), "infer", parties.CALLER)
    async with serving(echo) as (bench, _):

        async def ask() -> list[Frame]:
            return [frame async for frame in by(channel, bench)]

        answers = await asyncio.gather(*(ask() for _ in range(5)))
        assert [len(frames) for frames in answers] == [1] * 5
        assert kinds(bench) == [1, 0x81, 0x81, 0x81, 0x81]


async def test_an_agent_that_has_started_anew_is_asked_once_more_in_full():
    channel = Channel(parties.card(), "infer", parties.CALLER)
    async with serving(three) as (bench, _):
        assert len([frame async for frame in by(channel, bench)]) == 4
    async with serving(three, bench.bus) as (bench, _):
        bench.bus.seen.clear()
        streams = [by(channel, bench) for _ in range(2)]
        assert [(await anext(stream)).type for stream in streams] == ["data", "data"]
        for stream in streams:
            await stream.aclose()
        assert [kind for kind in kinds(bench) if kind != 0x80] == [0x81, 1, 0x81]
        assert bench.opener.accepted == 2


async def test_a_request_that_is_refused_in_full_too_is_refused():
    channel = Channel(parties.card(), "infer", parties.CALLER)
    async with serving(three) as (bench, _):
        assert len([frame async for frame in by(channel, bench)]) == 4
        bench.bus.seen.clear()
        stranger = bench.caller.stream(
            parties.card(), "infer", lambda _: "nonsense", BODY, 5, channel=channel
        )
        with pytest.raises(RefusedError):
            await anext(stranger)
        assert kinds(bench) == [0x81, 1]


async def test_an_agent_without_channels_gets_each_request_in_full():
    channel = Channel(parties.card(), "infer", parties.CALLER, lasting=False)
    async with serving(three) as (bench, _):
        for _ in range(2):
            assert len([frame async for frame in by(channel, bench)]) == 4
        assert kinds(bench) == [1, 1]


async def test_requests_that_are_refused_together_open_one_channel():
    channel = Channel(parties.card(), "infer", parties.CALLER)
    async with serving(echo) as (bench, _):
        assert len([frame async for frame in by(channel, bench)]) == 1
    async with serving(echo, bench.bus) as (bench, _):
        bench.bus.seen.clear()

        async def ask() -> list[Frame]:
            return [frame async for frame in by(channel, bench)]

        answers = await asyncio.gather(*(ask() for _ in range(3)))
        assert [len(frames) for frames in answers] == [1] * 3
        assert sorted(kinds(bench)) == [1, 1, 1, 0x81, 0x81, 0x81]
        assert await ask() and kinds(bench)[-1] == 0x81
        assert bench.opener.refusals == {"seal": 3}


class LyingNetwork(LoopBus):
    """Delivers requests by a channel, and says that they were refused."""

    def carry(self, message: Message) -> None:
        if message.payload[:1] == b"\x81" and message.reply:
            self.deliver(Message(message.reply, REFUSAL))
        self.deliver(message)


async def test_who_says_that_a_request_was_refused_does_not_have_it_answered_twice():
    answered = 0

    async def counted(grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        nonlocal answered
        answered += 1
        yield "data", {"n": answered}

    channel = Channel(parties.card(), "infer", parties.CALLER)
    async with serving(counted, LyingNetwork()) as (bench, server):
        assert len([frame async for frame in by(channel, bench)]) == 1
        with pytest.raises((IntegrityError, RefusedError)):
            _ = [frame async for frame in by(channel, bench)]
        await eventually(lambda: bench.opener.refusals == {"replay": 1})
        await eventually(lambda: server.open_replies == 0)
        assert answered == 2

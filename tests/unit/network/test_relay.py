"""A reply that passes through the service unread: cancelling it, and what it cost."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adaptery.errors import (
    DeadlineError,
    IntegrityError,
    NoAgentError,
    SlowReaderError,
    UnavailableError,
)
from adaptery.sealed import (
    FrameReader,
    Grant,
    JsonObject,
    ReplyKey,
    derive_cancel_key,
    is_receipt,
    seal_request,
    seal_terms,
    sign_grant,
)
from adaptery_network import arrivals, subjects
from adaptery_network.relay import Relay
from adaptery_network.sealed_server import Item, SealedServer
from adaptery_network.transport import Message
from support import sealed_parties as parties
from support.loop_transport import LoopBus, LoopTransport
from support.sealed_parties import AGENT, CALLER, IDENTITY, SERVICE, STRANGER, SUBJECT
from support.waiting import eventually

MASTER = b"\x07" * 32


class Bench:
    """An agent, a caller who has an offer, and the relay between."""

    def __init__(self, bus: LoopBus, nonce: str = "A" * 22) -> None:
        self.bus = bus
        self.clock = parties.Clock()
        self.opener = parties.opener(self.clock)
        self.agent_side = LoopTransport(bus, "agent")
        self.service_side = LoopTransport(bus, "service")
        self.cancel_key = derive_cancel_key(MASTER, nonce)
        terms = seal_terms(self.cancel_key, {"more": 1}, parties.card())
        self.grant = parties.grant(nonce=nonce, agent=AGENT, terms=terms)
        self.reply = subjects.sealed_reply(nonce)

    def sealed(self) -> tuple[bytes, FrameReader]:
        payload, key = seal_request(
            card=parties.card(),
            verb="infer",
            subject=SUBJECT,
            reply=self.reply,
            grant=sign_grant(self.grant, SERVICE),
            body={"prompt": "hi"},
            caller_key=CALLER,
            now=self.clock(),
        )
        return payload, FrameReader(key, self.reply)

    def relay(self, **changes: float) -> Relay:
        limits = {"frame_seconds": 1.0, "receipt_seconds": 1.0, **changes}
        return Relay(self.service_side, parties.card(), self.grant, self.cancel_key, **limits)


class Words:
    """Says some words; waits for ever behind them if it is `endless`."""

    def __init__(self, *words: str, endless: bool = False) -> None:
        self.words, self.endless, self.closed = words, endless, 0

    async def __call__(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        try:
            for number, word in enumerate(self.words):
                yield "tally", {"completion_tokens": number + 1}
                yield "data", {"text": word}
            if self.endless:
                await asyncio.Event().wait()
            yield "usage", {"prompt_tokens": 7, "completion_tokens": len(self.words)}
        finally:
            self.closed += 1


@asynccontextmanager
async def serving(
    words: Words, bus: LoopBus | None = None, **options: object
) -> AsyncIterator[Bench]:
    bench = Bench(bus or LoopBus())
    given = {"signer": IDENTITY, **options}
    server = SealedServer(bench.agent_side, SUBJECT, "infer", bench.opener, words, **given)  # type: ignore[arg-type]
    await server.start()
    try:
        yield bench
    finally:
        await server.stop()


async def test_frames_pass_as_they_came_and_the_receipt_stays():
    async with serving(Words("a", "b")) as bench:
        payload, reader = bench.sealed()
        relay = bench.relay()
        await relay.open(payload)
        frames = [reader.feed(message) async for message in relay.messages()]
        assert [frame.type for frame in frames if frame] == ["data", "data", "usage", "end"]
        receipt = await relay.close()
        assert receipt is not None and receipt.outcome == "completed"
        assert (receipt.prompt_tokens, receipt.completion_tokens) == (7, 2)
        assert bench.opener.accepted == 1 and await relay.close() == receipt


async def test_closing_early_ends_the_reply_at_the_agent_and_still_counts():
    words = Words("a", endless=True)
    async with serving(words) as bench:
        relay = bench.relay()
        await relay.open(bench.sealed()[0])
        await anext(relay.messages())
        receipt = await relay.close()
        assert words.closed == 1
        assert receipt is not None
        assert (receipt.outcome, receipt.completion_tokens) == ("cancelled", 1)
        assert not [s for s in bench.bus.subscriptions if s.subject == bench.reply]


async def test_closing_before_the_agent_began_counts_too():
    words = Words("a", endless=True)
    async with serving(words) as bench:
        relay = bench.relay()
        await relay.open(bench.sealed()[0])
        receipt = await relay.close()
        assert receipt is not None and receipt.outcome == "cancelled"


async def test_nobody_else_can_cancel():
    words = Words("a", endless=True)
    async with serving(words) as bench:
        relay = bench.relay()
        await relay.open(bench.sealed()[0])
        await anext(relay.messages())
        for key in (ReplyKey.generate(), derive_cancel_key(MASTER, "B" * 22)):
            await bench.service_side.publish(SUBJECT, key.seal_cancel(bench.reply), bench.reply)
        other = bench.cancel_key.seal_cancel("_INBOX_service.other")
        await bench.service_side.publish(SUBJECT, other, bench.reply)
        await asyncio.wait_for(bench.service_side.flush(), 1)
        assert words.closed == 0
        await relay.close()
        assert words.closed == 1


async def test_an_agent_without_a_receipt_is_not_waited_for_for_ever():
    async with serving(Words("a"), signer=None) as bench:
        relay = bench.relay(frame_seconds=0.1, receipt_seconds=0.1)
        await relay.open(bench.sealed()[0])
        with pytest.raises(DeadlineError):
            async for _ in relay.messages():
                pass
        assert await relay.close() is None


async def test_a_receipt_of_another_key_or_grant_is_none():
    async with serving(Words("a"), signer=STRANGER) as bench:
        relay = bench.relay(frame_seconds=0.1, receipt_seconds=0.1)
        await relay.open(bench.sealed()[0])
        with pytest.raises(DeadlineError):
            async for _ in relay.messages():
                pass
        assert await relay.close() is None


class Replaying(LoopBus):
    """Puts the receipt of an earlier reply in front of a later one."""

    kept: bytes | None = None

    def carry(self, message: Message) -> None:
        if is_receipt(message.payload):
            self.kept = self.kept or message.payload
            message = Message(message.subject, self.kept, message.reply)
        self.deliver(message)


async def test_a_receipt_of_an_earlier_reply_counts_for_nothing():
    bus = Replaying()
    async with serving(Words("a"), bus) as bench:
        first = bench.relay()
        await first.open(bench.sealed()[0])
        assert len([m async for m in first.messages()]) == 3
        assert await first.close() is not None
        later = Bench(bus, "B" * 22)
        relay = later.relay(frame_seconds=0.1, receipt_seconds=0.1)
        await relay.open(later.sealed()[0])
        with pytest.raises(DeadlineError):
            async for _ in relay.messages():
                pass
        assert await relay.close() is None


async def test_no_agent_a_lost_broker_and_a_refusal_end_at_once():
    bench = Bench(LoopBus())
    relay = bench.relay()
    await relay.open(bench.sealed()[0])
    with pytest.raises(NoAgentError):
        await anext(relay.messages())
    assert await relay.close() is None
    async with serving(Words("a", endless=True)) as bench:
        relay = bench.relay(frame_seconds=60)
        await relay.open(bench.sealed()[0])
        messages = relay.messages()
        await anext(messages)
        bench.service_side.lose()
        with pytest.raises(UnavailableError):
            await anext(messages)
        assert await relay.close() is None
    async with serving(Words("a")) as bench:
        payload, _ = bench.sealed()
        relay = bench.relay(receipt_seconds=60)
        await relay.open(payload[:-1] + bytes([payload[-1] ^ 1]))
        assert len([m async for m in relay.messages()]) == 1
        assert relay.refused and await relay.close() is None


async def test_what_is_no_request_is_not_sent_on():
    bench = Bench(LoopBus())
    for payload in (b"", b"\x80" + bytes(16), b"\xff" + bytes(200)):
        with pytest.raises(IntegrityError):
            await bench.relay().open(payload)
    assert bench.bus.seen == []


async def test_what_a_slow_reader_leaves_unread_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrivals, "UNREAD_LIMIT_BYTES", 5_000)
    words = Words(*(["x" * 1000] * 50), endless=True)
    async with serving(words) as bench:
        relay = bench.relay()
        await relay.open(bench.sealed()[0])
        await eventually(lambda: relay._arrivals._cut)
        with pytest.raises(SlowReaderError):
            async for _ in relay.messages():
                pass
        receipt = await relay.close()
        assert receipt is not None and receipt.outcome == "cancelled" and words.closed == 1

"""Sealed requests and sessions over the real broker, with a spy in the same account."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest

from adaptery import times
from adaptery.errors import NoAgentError, RefusedError, UnavailableError
from adaptery.sealed import (
    REFUSAL,
    Grant,
    JsonObject,
    RequestOpener,
    Session,
    derive_session_key,
    sign_grant,
)
from adaptery_network import subjects
from adaptery_network.broker import NetworkIdentity
from adaptery_network.caller import Caller
from adaptery_network.sealed_server import Item, SealedServer
from adaptery_network.sessions import SessionClient, SessionServer
from support.broker import BrokerAgent, BrokerProcess
from support.spy import Spy, spellings
from support.waiting import eventually

ATTEMPT = "at_01j00000000000000000000005"


class Floor:
    """Broker, service and one agent that answers with what it was asked."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.broker = broker
        self.identity: NetworkIdentity = broker.identity
        self.agent = BrokerAgent(self.identity)
        self.spy = Spy()
        self.closed = 0
        self.endless = False

    async def start(self) -> None:
        await self.spy.listen(self.broker.state_dir, self.broker.url, (">",))
        self.service = await self.broker.service()
        self.agent_side = await self.broker.connect_agent(self.agent)
        self.caller = Caller(self.service)
        self.opener = RequestOpener(
            self.agent.identity, self.identity.signing_key.verify_key, times.now, times.now()
        )
        subject = subjects.infer(self.identity.owner, self.agent.id)
        self.server = SealedServer(self.agent_side, subject, "infer", self.opener, self.answer)
        await self.server.start()
        await self.agent_side.flush()

    async def stop(self) -> None:
        await self.server.stop()
        for transport in (self.service, self.agent_side, *self.spy.transports):
            await transport.close()

    async def answer(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        try:
            for token in str(body["prompt"]).split():
                yield "data", {"text": token, "grant": grant.thing}
            if self.endless:
                await asyncio.Event().wait()
            yield "usage", {"completion_tokens": 3}
        finally:
            self.closed += 1

    def grant_for(self, caller_key: str) -> str:
        grant = Grant(
            verb="infer",
            thing="ad_01j00000000000000000000003",
            caller="tn_01j00000000000000000000004",
            caller_key=caller_key,
            not_after=times.now() + timedelta(seconds=60),
        )
        return sign_grant(grant, self.identity.signing_key)

    def ask(self, prompt: str, timeout_seconds: float = 10):
        return self.caller.stream(
            self.agent.card, "infer", self.grant_for, {"prompt": prompt}, timeout_seconds
        )


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    async with BrokerProcess(tmp_path) as broker:
        floor = Floor(broker)
        await floor.start()
        yield floor
        await floor.stop()


async def test_a_spy_that_hears_everything_reads_nothing(
    floor: Floor, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    canaries = [f'canary {secrets.token_hex(8)} \u00e9\u4e2d"\\' for _ in range(5)]
    for canary in canaries:
        texts = [str(frame.value.get("text")) async for frame in floor.ask(canary)]
        assert texts[:-1] == canary.split()
    key = derive_session_key(floor.identity.session_master, ATTEMPT, floor.agent.id)

    async def handle(
        agent: str, session_id: str, header: JsonObject, blob: bytes
    ) -> tuple[Mapping[str, object], bytes]:
        return header, blob

    def resolve(session_id: str, agent: str) -> Session:
        return Session(
            derive_session_key(floor.identity.session_master, session_id, agent), session_id
        )

    server = SessionServer(floor.service, floor.identity.owner, resolve, handle)
    await server.start()
    await floor.service.flush()
    client = SessionClient(
        floor.agent_side, floor.identity.owner, floor.agent.id, Session(key, ATTEMPT)
    )
    for canary in canaries:
        answer = await client.request("report", {"text": canary}, canary.encode())
        assert answer == ({"text": canary}, canary.encode())
    await server.stop()
    # 5 requests with 5 frames (3 words, usage, end), 5 session requests with an answer.
    await eventually(lambda: len(floor.spy.heard) >= 5 * 6 + 5 * 2)
    searched = floor.spy.traffic() + floor.broker.log.read_bytes() + caplog.text.encode()
    for canary in canaries:
        words = [word for word in canary.split() if len(word) > 6]
        for spelling in [s for text in (canary, *words) for s in spellings(text)]:
            assert spelling not in searched
    assert b"ad_01j00000000000000000000003" not in floor.spy.traffic()


async def test_a_spy_that_is_another_agent_hears_nothing(floor: Floor):
    other = BrokerAgent(floor.identity)
    transport = await floor.broker.connect_agent(other)
    spy = Spy()
    for subject in (
        subjects.control(floor.identity.owner, other.id),
        subjects.infer(floor.identity.owner, other.id),
        f"{subjects.inbox_prefix(other.id)}.>",
    ):
        await transport.subscribe(subject, spy.hear)
    await transport.flush()
    assert len([frame async for frame in floor.ask("one two")]) == 3
    await transport.flush()
    assert spy.heard == []
    await transport.close()


async def test_a_thief_with_the_services_broker_credentials_cannot_use_an_adapter(floor: Floor):
    assert len([frame async for frame in floor.ask("one two")]) == 3
    subject = subjects.infer(floor.identity.owner, floor.agent.id)
    await eventually(lambda: any(m.subject == subject for m in floor.spy.heard))
    request = next(m for m in floor.spy.heard if m.subject == subject)
    thief = await floor.broker.service()
    for payload in (request.payload, request.payload[:-1], request.payload[:200], b"", b"\x01"):
        answer = await thief.request(subject, payload, 10)
        assert answer.payload == REFUSAL
    grants = Caller(thief)
    with pytest.raises(RefusedError):
        await grants.call(floor.agent.card, "infer", lambda key: "", {"prompt": "x"}, 10)
    assert floor.opener.accepted == 1
    assert sum(floor.opener.refusals.values()) == 6
    await thief.close()


async def test_frames_arrive_while_the_answer_is_being_made(floor: Floor):
    floor.endless = True
    async with aclosing(floor.ask("one two")) as frames:
        assert (await anext(frames)).value["text"] == "one"
        assert (await anext(frames)).value["text"] == "two"
        assert floor.closed == 0
    await eventually(lambda: floor.closed == 1)


async def test_an_agent_that_leaves_is_missed_at_once(floor: Floor):
    await floor.server.stop()
    await floor.agent_side.close()
    for spy in floor.spy.transports:  # while anyone listens, the broker sends no notice
        await spy.close()
    with pytest.raises(NoAgentError):
        async for _ in floor.ask("one", timeout_seconds=60):
            pass


async def test_a_broker_that_dies_ends_the_stream_and_the_next_one_works(floor: Floor):
    floor.endless = True
    async with aclosing(floor.ask("one", timeout_seconds=60)) as frames:
        await anext(frames)
        await floor.broker.kill()
        with pytest.raises(UnavailableError):
            await anext(frames)
    await floor.broker.start()
    everyone = (floor.service, floor.agent_side, *floor.spy.transports)
    await eventually(lambda: all(transport.connected for transport in everyone))
    await floor.agent_side.flush()
    floor.endless = False
    assert len([frame async for frame in floor.ask("one two")]) == 3

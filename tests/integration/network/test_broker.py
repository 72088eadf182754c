"""The real broker: who may do what, losses, revocation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import nats.aio.client
import pytest

from adaptery import times
from adaptery.errors import (
    DeadlineError,
    IntegrityError,
    NotAllowedError,
    TooLargeError,
    UnavailableError,
)
from adaptery_network import subjects
from adaptery_network.broker import NetworkIdentity, accounts, jwts, push_account, revoke_user
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.transport import Credentials, Message
from support.broker import BrokerAgent, BrokerProcess, certificate
from support.waiting import eventually


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[BrokerProcess]:
    async with BrokerProcess(tmp_path) as running:
        yield running


class RawUser:
    """A user without our transport, to see what the broker itself says."""

    def __init__(self) -> None:
        self.client = nats.aio.client.Client()
        self.errors: list[str] = []

    async def connect(self, url: str, credentials: Credentials) -> None:
        async def complain(error: Exception) -> None:
            self.errors.append(str(error).lower())

        await self.client.connect(
            url,
            allow_reconnect=False,
            error_cb=complain,
            user_jwt_cb=lambda: bytearray(credentials.jwt.encode()),
            signature_cb=credentials.sign,
        )

    async def may_publish(self, subject: str) -> bool:
        self.errors.clear()
        await self.client.publish(subject, b"x")
        await self._flush()
        return not any("permissions violation for publish" in error for error in self.errors)

    async def may_subscribe(self, subject: str) -> bool:
        self.errors.clear()
        await self.client.subscribe(subject, cb=_ignore)
        await self._flush()
        return not any("permissions violation for subscription" in error for error in self.errors)

    async def _flush(self) -> None:
        for _ in range(2):  # the first ping may overtake what waits in the library's buffer
            await self.client.flush()


async def _ignore(_: object) -> None: ...


@asynccontextmanager
async def raw_user(url: str, credentials: Credentials) -> AsyncIterator[RawUser]:
    user = RawUser()
    try:
        await user.connect(url, credentials)
        yield user
    finally:
        await user.client.close()


async def test_each_user_may_do_exactly_what_its_lists_say(broker: BrokerProcess):
    identity = broker.identity
    owner = identity.owner
    mine, other = BrokerAgent(identity), BrokerAgent(identity)
    per_agent = ("health", "control", "report", "infer", "bulk")
    all_subjects = [
        *(f"ad.{owner}.{kind}.{agent.id}" for kind in per_agent for agent in (mine, other)),
        f"ad.{owner}.join",
        f"_INBOX_{mine.id}.x",
        f"_INBOX_{other.id}.x",
        "_INBOX_service.x",
        "_INBOX.x",
        "anything",
        "$SYS.REQ.CLAIMS.UPDATE",
    ]
    wildcards = [">", "*", "ad.>", f"ad.{owner}.*.{mine.id}", f"ad.{owner}.health.*"]
    async with raw_user(broker.url, mine.credentials) as agent:
        published = {s for s in all_subjects if await agent.may_publish(s)}
        subscribed = {s for s in all_subjects + wildcards if await agent.may_subscribe(s)}
    assert published == {f"ad.{owner}.{kind}.{mine.id}" for kind in ("health", "report", "bulk")}
    assert subscribed == {
        *(f"ad.{owner}.{kind}.{mine.id}" for kind in ("control", "infer", "bulk")),
        f"_INBOX_{mine.id}.x",
    }
    async with raw_user(broker.url, identity.service_credentials()) as service:
        published = {s for s in all_subjects if await service.may_publish(s)}
        subscribed = {s for s in all_subjects + wildcards if await service.may_subscribe(s)}
    both = (mine.id, other.id)
    sends = ("control", "infer", "bulk")
    assert published == {f"ad.{owner}.{kind}.{agent}" for kind in sends for agent in both}
    hears = ("health", "report", "bulk")
    assert subscribed == {
        *(f"ad.{owner}.{kind}.{agent}" for kind in hears for agent in both),
        f"ad.{owner}.join",
        f"ad.{owner}.health.*",
        "_INBOX_service.x",
    }


async def test_strangers_are_not_let_in(broker: BrokerProcess, tmp_path_factory):
    with pytest.raises(NotAllowedError):
        stranger = NetworkIdentity.load_or_create(tmp_path_factory.mktemp("other"))
        await NatsTransport.connect(
            broker.url, stranger.service_credentials(), inbox_prefix="_INBOX_service"
        )
    agent = BrokerAgent(broker.identity)
    wrong_seed = Credentials(agent.credentials.jwt, jwts.new_seed(jwts.KeyKind.USER))
    with pytest.raises(NotAllowedError):
        await NatsTransport.connect(broker.url, wrong_seed, inbox_prefix="_INBOX_x")
    anonymous = nats.aio.client.Client()
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await anonymous.connect(broker.url, allow_reconnect=False, error_cb=_ignore)
    await anonymous.close()


async def test_no_broker_is_unavailable_after_the_timeout(tmp_path: Path):
    absent = BrokerProcess(tmp_path)
    with pytest.raises(UnavailableError, match="No broker"):
        await NatsTransport.connect(
            absent.url,
            absent.identity.service_credentials(),
            inbox_prefix="_INBOX_service",
            timeout_seconds=0.5,
        )


async def test_connecting_waits_for_a_broker_that_comes_later(tmp_path: Path):
    broker = BrokerProcess(tmp_path)
    connecting = asyncio.create_task(broker.service())
    async with broker:
        transport = await connecting
        assert transport.connected
        await transport.close()


async def test_over_tls_only_the_right_ca_is_trusted(tmp_path: Path):
    ca, key = certificate(tmp_path)
    other_ca, _ = certificate(tmp_path / "other")
    async with BrokerProcess(tmp_path, tls=(ca, key)) as broker:
        connect = partial(
            NatsTransport.connect,
            broker.url.replace("nats://", "tls://"),
            broker.identity.service_credentials(),
            inbox_prefix=subjects.SERVICE_INBOX,
        )
        trusting = await connect(tls_ca=ca)
        assert trusting.connected
        await trusting.close()
        for wrong in (other_ca, None):
            with pytest.raises(UnavailableError):
                await connect(tls_ca=wrong, timeout_seconds=1)
        with pytest.raises(UnavailableError):
            await NatsTransport.connect(
                broker.url,  # plain
                broker.identity.service_credentials(),
                inbox_prefix=subjects.SERVICE_INBOX,
                timeout_seconds=1,
            )


async def test_requests_answers_deadlines_and_nobody(broker: BrokerProcess):
    agent = BrokerAgent(broker.identity)
    owner = broker.identity.owner
    service, agent_side = await broker.service(), await broker.connect_agent(agent)
    subject = subjects.control(owner, agent.id)

    with pytest.raises(UnavailableError, match="Nobody"):
        await service.request(subject, b"", timeout_seconds=30)

    async def answer(message: Message) -> None:
        if message.payload != b"silence":
            assert message.reply is not None
            await agent_side.publish(message.reply, message.payload.upper())

    subscription = await agent_side.subscribe(subject, answer)
    await agent_side.flush()
    answers = await asyncio.gather(*(service.request(subject, b"n%d" % n, 10) for n in range(50)))
    assert [answer.payload for answer in answers] == [b"N%d" % n for n in range(50)]
    with pytest.raises(DeadlineError):
        await service.request(subject, b"silence", 0.1)
    with pytest.raises(TooLargeError):
        await service.request(subject, bytes(1024 * 1024 + 1), 1)
    await subscription.unsubscribe()
    await agent_side.flush()
    with pytest.raises(UnavailableError, match="Nobody"):
        await service.request(subject, b"", timeout_seconds=30)
    await agent_side.close()
    await service.close()


async def test_a_killed_broker_is_found_again_and_subscriptions_come_back(broker: BrokerProcess):
    agent = BrokerAgent(broker.identity)
    states: list[str] = []
    lost: list[bool] = []
    heard: list[bytes] = []
    heard_at_once: list[bytes] = []
    service = await NatsTransport.connect(
        broker.url,
        broker.identity.service_credentials(),
        inbox_prefix=subjects.SERVICE_INBOX,
        on_state=states.append,
    )
    agent_side = await broker.connect_agent(agent)

    async def hear(message: Message) -> None:
        heard.append(message.payload)

    await service.subscribe(
        subjects.healths(broker.identity.owner), hear, on_lost=lambda: lost.append(True)
    )
    await service.hear(
        subjects.healths(broker.identity.owner),
        lambda message: heard_at_once.append(message.payload),
    )
    await service.flush()
    waiting = asyncio.create_task(
        agent_side.request(subjects.report(broker.identity.owner, agent.id), b"", 60)
    )
    with pytest.raises(UnavailableError):
        await waiting  # nobody listens to reports here
    await broker.kill()
    await eventually(lambda: lost == [True] and not agent_side.connected)
    with pytest.raises(UnavailableError):
        await agent_side.publish(subjects.health(broker.identity.owner, agent.id), b"too early")
    await broker.start()
    await eventually(lambda: service.connected and agent_side.connected)
    await service.flush()
    await agent_side.publish(subjects.health(broker.identity.owner, agent.id), b"alive")
    await eventually(lambda: heard == heard_at_once == [b"alive"])
    assert states == ["connected", "disconnected", "connected"]
    await agent_side.close()
    await service.close()
    assert states[-1] == "closed"


async def test_an_ear_that_fails_does_not_end_the_hearing(
    broker: BrokerProcess, caplog: pytest.LogCaptureFixture
):
    agent = BrokerAgent(broker.identity)
    service, agent_side = await broker.service(), await broker.connect_agent(agent)
    heard: list[bytes] = []

    def hear(message: Message) -> None:
        heard.append(message.payload)
        if message.payload == b"secret":
            raise ValueError(message.payload)

    subject = subjects.health(broker.identity.owner, agent.id)
    subscription = await service.hear(subjects.healths(broker.identity.owner), hear)
    await service.flush()
    for payload in (b"secret", b"after"):
        await agent_side.publish(subject, payload)
    await eventually(lambda: heard == [b"secret", b"after"])
    assert "ValueError" in caplog.text and "secret" not in caplog.text
    await subscription.unsubscribe()
    await agent_side.publish(subject, b"nobody listens")
    await agent_side.flush()
    await service.flush()
    assert heard == [b"secret", b"after"]
    await agent_side.close()
    await service.close()


async def test_a_request_in_flight_fails_at_once_when_the_broker_dies(broker: BrokerProcess):
    agent = BrokerAgent(broker.identity)
    service, agent_side = await broker.service(), await broker.connect_agent(agent)
    arrived = asyncio.Event()

    async def keep(_: Message) -> None:
        arrived.set()

    subject = subjects.control(broker.identity.owner, agent.id)
    await agent_side.subscribe(subject, keep)
    await agent_side.flush()
    waiting = asyncio.create_task(service.request(subject, b"", timeout_seconds=60))
    await arrived.wait()
    await broker.kill()
    with pytest.raises(UnavailableError, match="lost"):
        await asyncio.wait_for(waiting, 10)
    await agent_side.close()
    await service.close()


async def test_a_revoked_agent_is_cut_and_stays_out(broker: BrokerProcess):
    identity = broker.identity
    revoked, kept = BrokerAgent(identity), BrokerAgent(identity)
    states: list[str] = []
    cut = await NatsTransport.connect(
        broker.url,
        revoked.credentials,
        inbox_prefix=subjects.inbox_prefix(revoked.id),
        on_state=states.append,
    )
    stays = await broker.connect_agent(kept)
    began = asyncio.get_running_loop().time()
    await revoke_user(identity, broker.url, revoked.user_key)
    await eventually(lambda: "refused" in states)
    assert asyncio.get_running_loop().time() - began < 3
    assert not cut.connected
    assert stays.connected
    with pytest.raises(NotAllowedError):
        await broker.connect_agent(revoked)
    await broker.kill()
    await broker.start()
    with pytest.raises(NotAllowedError):
        await broker.connect_agent(revoked)
    await eventually(lambda: stays.connected)
    await cut.close()
    await stays.close()


async def test_two_revocations_in_the_same_second_both_hold(broker: BrokerProcess):
    agents = [BrokerAgent(broker.identity) for _ in range(2)]
    transports = [await broker.connect_agent(agent) for agent in agents]
    for agent in agents:
        await revoke_user(broker.identity, broker.url, agent.user_key)
    await eventually(lambda: not any(transport.connected for transport in transports))
    for transport in transports:
        await transport.close()


async def test_only_our_own_account_jwt_is_pushed(broker: BrokerProcess):
    class Impostor(NetworkIdentity):
        def account_jwt(self) -> str:
            stranger = jwts.new_seed(jwts.KeyKind.OPERATOR)
            return jwts.account_jwt(stranger, self.account_key, "x", times.now())

    true = broker.identity
    impostor = Impostor(**{name: getattr(true, name) for name in true.__dataclass_fields__})
    with pytest.raises(IntegrityError):
        await push_account(impostor, broker.url)
    await push_account(true, broker.url)
    service = await broker.service()
    assert service.connected
    await service.close()


async def test_the_system_user_may_do_no_more_than_push(broker: BrokerProcess):
    async with raw_user(broker.url, broker.identity.system_credentials()) as user:
        assert await user.may_publish("$SYS.REQ.CLAIMS.UPDATE")
        assert not await user.may_publish("$SYS.REQ.SERVER.PING")
        assert not await user.may_publish("$SYS.REQ.CLAIMS.DELETE")
        assert not await user.may_subscribe("$SYS.>")
        assert await user.may_subscribe(f"{accounts.SYSTEM_INBOX}.x")

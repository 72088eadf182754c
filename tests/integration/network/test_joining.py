"""An agent joins over the real broker."""

import asyncio
import hashlib
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from adaptery import base64url, times
from adaptery.errors import (
    ConflictError,
    IntegrityError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from adaptery.ids import new_id
from adaptery.sealed import Grant, RequestOpener, sign_grant
from adaptery.sealed.documents import canonical
from adaptery.signing import SigningKey
from adaptery_network import subjects
from adaptery_network.agent_files import AgentFiles
from adaptery_network.broker import revoke_user
from adaptery_network.caller import Caller
from adaptery_network.join import JoinDesk, JoinedAgent, JoinToken, join, mint_join_token
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.sealed_server import SealedServer
from adaptery_network.transport import Message
from support.broker import BrokerProcess
from support.waiting import eventually


class Register:
    """What the service's database does for the desk."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.joined: list[JoinedAgent] = []
        self.redeemed = 0
        self.breaks: Exception | None = None

    def offer(self, broker: BrokerProcess, seconds: float = 600) -> JoinToken:
        expires_at = times.now() + timedelta(seconds=seconds)
        token = mint_join_token(broker.identity, broker.url, new_id("jt"), expires_at)
        self.open[token.id] = hashlib.sha256(token.secret.encode()).hexdigest()
        return token

    async def redeem(self, token_id: str, secret: str) -> Sequence[str]:
        if self.breaks is not None:
            raise self.breaks
        if self.open.get(token_id) != hashlib.sha256(secret.encode()).hexdigest():
            raise RefusedError(reason="join_token")
        del self.open[token_id]
        self.redeemed += 1
        return ["phi", "site:north"]

    async def enrol(self, joined: JoinedAgent) -> None:
        self.joined.append(joined)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[BrokerProcess]:
    async with BrokerProcess(tmp_path / "hub") as running:
        yield running


@asynccontextmanager
async def desk_open(broker: BrokerProcess, register: Register) -> AsyncIterator[NatsTransport]:
    service = await broker.service()
    desk = JoinDesk(service, broker.identity, register.redeem, register.enrol)
    await desk.start()
    await service.flush()
    try:
        yield service
    finally:
        await desk.stop()
        await service.close()


async def test_a_token_makes_an_agent_that_can_be_called(broker: BrokerProcess, tmp_path: Path):
    register, home = Register(), tmp_path / "agent"
    async with desk_open(broker, register) as service:
        token = register.offer(broker)
        files = await join(token.to_text(), home, {"kinds": ["infer"]})
        assert register.joined[0].card == files.card
        assert files.card.labels == ("phi", "site:north")
        assert files.card.capabilities == {"kinds": ["infer"]}
        assert files.card.owner == broker.identity.owner

        loaded = AgentFiles.load(home, times.now())
        assert loaded.card == files.card
        agent_side = await NatsTransport.connect(
            loaded.url, loaded.credentials, inbox_prefix=loaded.inbox_prefix
        )
        opener = RequestOpener(loaded.identity, loaded.issuer, times.now, times.now())

        async def answer(grant: Grant, body: dict[str, object]):
            yield "data", {"thing": grant.thing, **body}

        subject = subjects.control(loaded.card.owner, loaded.card.agent)
        server = SealedServer(agent_side, subject, "train", opener, answer)
        await server.start()
        await agent_side.flush()

        def grant_for(caller_key: str) -> str:
            grant = Grant(
                verb="train",
                thing="jb_1",
                caller="tn_1",
                caller_key=caller_key,
                not_after=times.now() + timedelta(seconds=60),
            )
            return sign_grant(grant, broker.identity.signing_key)

        answered = await Caller(service).call(files.card, "train", grant_for, {"op": "x"}, 10)
        assert answered == {"thing": "jb_1", "op": "x"}

        await revoke_user(broker.identity, broker.url, register.joined[0].user_key)
        await eventually(lambda: not agent_side.connected)
        await server.stop()
        await agent_side.close()
    (home / "identity" / "signing.key").write_bytes(bytes(32))
    with pytest.raises(IntegrityError, match="other keys"):
        AgentFiles.load(home, times.now())
    for path in (home / "identity").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_token_works_once(broker: BrokerProcess, tmp_path: Path):
    register = Register()
    async with desk_open(broker, register):
        text = register.offer(broker).to_text()
        await join(text, tmp_path / "first", {})
        with pytest.raises(RefusedError):
            await join(text, tmp_path / "second", {})
    assert register.redeemed == len(register.joined) == 1
    assert not AgentFiles.exist(tmp_path / "second")


async def test_two_at_once_with_one_token_make_one_agent(broker: BrokerProcess, tmp_path: Path):
    register = Register()
    async with desk_open(broker, register):
        text = register.offer(broker).to_text()
        outcomes = await asyncio.gather(
            *(join(text, tmp_path / name, {}) for name in ("first", "second")),
            return_exceptions=True,
        )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AgentFiles", "RefusedError"]
    assert len(register.joined) == 1


async def test_a_lost_answer_costs_nothing(broker: BrokerProcess, tmp_path: Path):
    """The newcomer asks again with the same keys; the desk gives the same answer."""
    register = Register()

    class LosesOneAnswer:
        def __init__(self, inner: NatsTransport) -> None:
            self._inner = inner
            self.lost = 0

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

        async def publish(self, subject: str, payload: bytes, reply: str | None = None) -> None:
            if not self.lost:
                self.lost += 1
                raise UnavailableError
            await self._inner.publish(subject, payload, reply)

    service = await broker.service()
    flaky = LosesOneAnswer(service)
    desk = JoinDesk(flaky, broker.identity, register.redeem, register.enrol)  # type: ignore[arg-type]
    await desk.start()
    await service.flush()
    text = register.offer(broker).to_text()
    files = await join(text, tmp_path / "agent", {}, answer_seconds=0.5)
    assert flaky.lost == 1
    assert [joined.card for joined in register.joined] == [files.card]
    await desk.stop()
    await service.close()


async def test_a_wrong_secret_and_an_unknown_token_look_alike(
    broker: BrokerProcess, tmp_path: Path
):
    register = Register()
    async with desk_open(broker, register):
        token = register.offer(broker)
        said = set()
        fields = {name: getattr(token, name) for name in token.__dataclass_fields__}
        for changes in ({"secret": "wrong"}, {"service": token.service, "secret": ""}):
            with pytest.raises(RefusedError) as caught:
                await join(JoinToken(**fields | changes).to_text(), tmp_path / "agent", {})
            said.add(str(caught.value))
        del register.open[token.id]
        with pytest.raises(RefusedError) as caught:
            await join(token.to_text(), tmp_path / "agent", {})
        said.add(str(caught.value))
    assert len(said) == 1
    assert register.joined == []


async def test_an_ended_token_does_not_reach_the_desk(broker: BrokerProcess, tmp_path: Path):
    register = Register()
    async with desk_open(broker, register):
        token = register.offer(broker, seconds=-1)
        with pytest.raises(NotAllowedError):
            await join(token.to_text(), tmp_path / "agent", {})
    assert register.redeemed == 0


async def test_a_card_of_another_issuer_is_not_accepted(broker: BrokerProcess, tmp_path: Path):
    register = Register()
    async with desk_open(broker, register):
        token = register.offer(broker)
        fields = {name: getattr(token, name) for name in token.__dataclass_fields__}
        forged = JoinToken(**fields | {"issuer": SigningKey.generate().public_text})
        with pytest.raises(Exception, match="signature does not match"):
            await join(forged.to_text(), tmp_path / "agent", {})
    assert not AgentFiles.exist(tmp_path / "agent")


async def test_an_error_of_the_service_reaches_the_newcomer(broker: BrokerProcess, tmp_path: Path):
    register = Register()
    async with desk_open(broker, register):
        token = register.offer(broker)
        register.breaks = ConflictError("No more agents may join.", hint="Ask an admin.")
        with pytest.raises(ConflictError, match="No more agents"):
            await join(token.to_text(), tmp_path / "agent", {})
        register.breaks = KeyError("secret detail")
        with pytest.raises(Exception, match="unexpected error"):
            await join(token.to_text(), tmp_path / "agent", {})


async def test_joining_waits_for_the_service(broker: BrokerProcess, tmp_path: Path):
    register = Register()
    joining = asyncio.create_task(join(register.offer(broker).to_text(), tmp_path / "agent", {}))
    async with desk_open(broker, register):
        assert (await joining).card.labels == ("phi", "site:north")
    with pytest.raises(UnavailableError, match="service"):
        await join(register.offer(broker).to_text(), tmp_path / "b", {}, timeout_seconds=1)


async def test_neither_token_nor_card_is_readable_on_the_broker(
    broker: BrokerProcess, tmp_path: Path
):
    heard: list[bytes] = []

    async def hear(message: Message) -> None:
        heard.append(message.payload)

    credentials = broker.user(publish=("nothing",), subscribe=(">",))
    spy = await NatsTransport.connect(broker.url, credentials, inbox_prefix="_INBOX_spy")
    await spy.subscribe(">", hear)
    await spy.flush()
    register = Register()
    async with desk_open(broker, register):
        token = register.offer(broker)
        files = await join(token.to_text(), tmp_path / "agent", {})
    await eventually(lambda: len(heard) == 2)
    for secret in (token.secret, files.credentials.jwt, files.card.sealing_key, "site:north"):
        assert secret.encode() not in b"".join(heard)
    await spy.close()


def test_no_agent_and_no_token_are_said_clearly(tmp_path: Path):
    with pytest.raises(NotFoundError, match="joined"):
        AgentFiles.load(tmp_path, times.now())
    with pytest.raises(InvalidInputError, match="join token"):
        JoinToken.from_text("adj_" + base64url.encode(canonical({"url": 1})))

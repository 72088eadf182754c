"""A broker, a scripted service and an agent, each a process or a user of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from adaptery import base64url
from adaptery.errors import IntegrityError, RefusedError
from adaptery.ids import new_id
from adaptery.sealed import (
    AgentCard,
    Grant,
    Session,
    derive_session_key,
    open_heartbeat,
    sign_grant,
)
from adaptery.signing import VerifyKey
from adaptery.times import now
from adaptery_network import subjects
from adaptery_network.broker import NetworkIdentity, broker_command
from adaptery_network.broker.jwts import KeyKind, UserPermissions, new_seed
from adaptery_network.caller import Caller
from adaptery_network.join import JoinDesk, mint_join_token
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.sessions import SessionServer
from support.agent_side import program
from support.agent_side.desk import ServiceDesk
from support.agent_side.orders import start_body
from support.agent_side.specs import BASE_DIGEST
from support.waiting import eventually

CALLER = "tn_00000000000000000000000000"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Broker:
    """A real nats-server that can be killed and brought back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.identity = NetworkIdentity.load_or_create(root)
        self._process = None

    async def start(self) -> None:
        with (self.root / "broker.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *broker_command(self.root, self.port), stdout=log, stderr=log
            )

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def spy(self) -> tuple[NatsTransport, list[bytes]]:
        """Listen to everything in the account, as a thief of its key could."""
        everything = UserPermissions(publish=("nowhere",), subscribe=(">",))
        credentials = self.identity._user(
            self.identity._account, new_seed(KeyKind.USER), everything
        )
        transport = await NatsTransport.connect(self.url, credentials, inbox_prefix="_INBOX_spy")
        heard: list[bytes] = []

        async def hear(message):
            heard.append(message.subject.encode() + b" " + message.payload)

        await transport.subscribe(">", hear)
        return transport, heard


class Service:
    """The service's side of the network, as far as an agent can tell."""

    def __init__(self, broker: Broker, transport: NatsTransport) -> None:
        self.broker = broker
        self.identity = broker.identity
        self.transport = transport
        self.desks: dict[str, ServiceDesk] = {}
        self.card: AgentCard | None = None
        self.beats: list[dict] = []
        self.caller = Caller(transport)
        self._tokens: dict[str, str] = {}
        self._sessions = SessionServer(transport, self.identity.owner, self._resolve, self._handle)
        self._join_desk = JoinDesk(transport, self.identity, self._redeem, self._enrol)

    async def start(self) -> None:
        await self._sessions.start()
        await self._join_desk.start()
        await self.transport.subscribe(subjects.healths(self.identity.owner), self._hear)

    async def stop(self) -> None:
        await self._sessions.stop()
        await self.transport.close()

    def mint_token(self) -> str:
        token = mint_join_token(
            self.identity, self.broker.url, new_id("jt"), now() + timedelta(minutes=5)
        )
        self._tokens[token.id] = token.secret
        return token.to_text()

    def desk(self, session: str, fencing_token: int = 1) -> ServiceDesk:
        desk = self.desks[session] = ServiceDesk(fencing_token)
        return desk

    def session_body(self, session: str) -> dict:
        key = derive_session_key(self.identity.session_master, session, self.card.agent)
        return {"id": session, "key": base64url.encode(key)}

    def grant_for(self, thing, verb, weight_digest=None):
        def make(caller_key: str) -> str:
            grant = Grant(
                verb=verb,
                thing=thing,
                weight_digest=weight_digest,
                caller=CALLER,
                caller_key=caller_key,
                not_after=now() + timedelta(seconds=120),
            )
            return sign_grant(grant, self.identity.signing_key)

        return make

    async def order(self, spec, lease_seconds: float = 60) -> dict:
        body = start_body(spec, lease_seconds)
        body["session"] = self.session_body(spec.attempt)
        grant = self.grant_for(spec.job, "train")
        return await self.caller.call(self.card, "train", grant, body, 20)

    def ask(self, body: dict, grant=None):
        adapter = body["adapter"]
        thing = adapter["id"] if adapter else body["base_model"]["name"]
        digest = adapter["weight_digest"] if adapter else None
        grant = grant or self.grant_for(thing, "infer", digest)
        return self.caller.stream(self.card, "infer", grant, body, 20)

    def question(self, text: str, adapter: tuple[str, str] | None = None, **request) -> dict:
        reference = adapter and {
            "id": adapter[0],
            "weight_digest": adapter[1],
            "session": self.session_body(adapter[0]),
        }
        messages = [{"role": "user", "content": text}]
        return {
            "path": "chat/completions",
            "request": {"messages": messages, **request},
            "base_model": {"name": "tiny", "weight_digest": BASE_DIGEST},
            "adapter": reference,
        }

    def _resolve(self, session: str, agent: str) -> Session | None:
        if session not in self.desks:
            return None
        return Session(derive_session_key(self.identity.session_master, session, agent), session)

    async def _handle(self, agent, session, header, blob):
        return await self.desks[session].answer(header, blob)

    async def _redeem(self, token_id, secret):
        if self._tokens.pop(token_id, None) != secret:
            raise RefusedError(reason="token")
        return ("site:north",)

    async def _enrol(self, joined) -> None:
        self.card = joined.card

    async def _hear(self, message) -> None:
        if self.card is None:
            return
        key = VerifyKey.from_text(self.card.identity_key)
        with suppress(IntegrityError):
            self.beats.append(open_heartbeat(message.payload, key, now()))


class AgentProcess:
    """`adaptery agent run` as an operator starts it, with the tiny programs."""

    def __init__(self, root: Path) -> None:
        self.state = root / "agent"
        self.source = root / "source"
        self.state.mkdir(mode=0o700)
        self.source.mkdir()
        self.models = self.state / "models"
        config = {
            "base_models": {"tiny": str(self.source)},
            "embedding_models": {"tiny-embedder": str(self.source)},
            "worker_command": program("worker"),
            "engine_command": program("engine"),
            "convert_command": program("convert"),
            "embedder_command": program("embedder"),
            "convert_embedder_command": program("convert_embedder"),
            "heartbeat_seconds": 0.2,
            "worker_grace_seconds": 5,
            "drain_seconds": 8,
        }
        (self.state / "agent.json").write_text(json.dumps(config))
        self.log = root / "agent.log"
        self._process = None

    def behave(self, behaviour: str) -> None:
        (self.source / "behaviour").write_text(behaviour)

    async def start(self) -> None:
        environment = {**os.environ, "SECRET_OF_THE_AGENT": "x"}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "adaptery.commands",
                "agent",
                "run",
                "--state",
                str(self.state),
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    async def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), 20)

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.stop()

    def work(self, spec) -> Path:
        return self.state / "attempts" / spec.attempt / "work"


@asynccontextmanager
async def open_network(root: Path):
    broker = Broker(root / "hub")
    await broker.start()
    transport = await NatsTransport.connect(
        broker.url,
        broker.identity.service_credentials(),
        inbox_prefix=subjects.SERVICE_INBOX,
        timeout_seconds=15,
    )
    service = Service(broker, transport)
    await service.start()
    agent = AgentProcess(root)
    try:
        yield broker, service, agent
    finally:
        await agent.end()
        await service.stop()
        with suppress(ProcessLookupError):
            await broker.kill()


@pytest.fixture
async def network(tmp_path):
    (tmp_path / "hub").mkdir()
    async with open_network(tmp_path) as parts:
        yield parts


async def join_and_run(service: Service, agent: AgentProcess, behaviour: str) -> None:
    """Bring the agent up the way the local agent comes up: a token waits in its folder."""
    agent.behave(behaviour)
    token = agent.state / "join.token"
    token.touch(mode=0o600)
    token.write_text(service.mint_token())
    await agent.start()
    await live(service)


async def live(service: Service) -> None:
    """Wait until a heartbeat that comes from now on shows a ready engine."""
    seen = len(service.beats)

    def ready():
        return any(
            beat["base_models"] and beat["engine"]["state"] == "ready"
            for beat in service.beats[seen:]
        )

    await eventually(ready, timeout_seconds=40)

"""A real nats-server of one deployment, and the users that a test needs."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adaptery import times
from adaptery.ids import new_id
from adaptery.sealed import AgentCard, AgentIdentity, SealingKey
from adaptery.signing import SigningKey
from adaptery_network import subjects
from adaptery_network.broker import BrokerConfig, NetworkIdentity, broker_command, jwts
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.transport import Credentials
from support.spy import user_of
from support.waiting import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker of a test")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(times.now() - timedelta(days=1))
        .not_valid_after(times.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


class BrokerProcess:
    """Starts, kills and starts again; use as `async with`."""

    def __init__(self, state_dir: Path, tls: tuple[Path, Path] | None = None) -> None:
        self.state_dir = state_dir
        self.port = free_port()
        certificate, key = tls or (None, None)
        self._config = BrokerConfig(port=self.port, tls_certificate=certificate, tls_key=key)
        self.log = state_dir / "broker.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def identity(self) -> NetworkIdentity:
        return NetworkIdentity.load_or_create(self.state_dir)

    async def start(self) -> None:
        command = broker_command(self.state_dir, config=self._config)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        await eventually(self._listens)

    async def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def __aenter__(self) -> "BrokerProcess":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def service(self) -> NatsTransport:
        return await NatsTransport.connect(
            self.url, self.identity.service_credentials(), inbox_prefix=subjects.SERVICE_INBOX
        )

    async def connect_agent(self, agent: "BrokerAgent") -> NatsTransport:
        return await NatsTransport.connect(
            self.url, agent.credentials, inbox_prefix=subjects.inbox_prefix(agent.id)
        )

    def user(self, publish: tuple[str, ...], subscribe: tuple[str, ...]) -> Credentials:
        """A user of the same account with any permissions: a spy, or one that broke in."""
        return user_of(self.identity, publish, subscribe)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class BrokerAgent:
    """An agent of the deployment, made without the handshake."""

    def __init__(self, identity: NetworkIdentity) -> None:
        self.id = new_id("ag")
        self.signing_key = SigningKey.generate()
        self.sealing_key = SealingKey.generate()
        seed = jwts.new_seed(jwts.KeyKind.USER)
        self.user_key = jwts.public_key(seed)
        self.credentials = Credentials(identity.agent_jwt(self.id, self.user_key), seed)
        self.identity = AgentIdentity(identity.owner, self.id, self.sealing_key)
        now = times.now()
        self.card = AgentCard(
            agent=self.id,
            owner=identity.owner,
            labels=(),
            capabilities={},
            identity_key=self.signing_key.public_text,
            sealing_key=self.sealing_key.public_text,
            issued_at=now,
            not_after=now + timedelta(days=1),
        )

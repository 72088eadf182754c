"""A spy in the broker's account, and the spellings in which it would recognise a canary."""

import base64
import json
from pathlib import Path

from adaptery import times
from adaptery_network.broker import NetworkIdentity, jwts
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.transport import Credentials, Message


def user_of(
    identity: NetworkIdentity, publish: tuple[str, ...], subscribe: tuple[str, ...]
) -> Credentials:
    """Return a user of the service's account with any permissions: a spy, or one that broke in."""
    seed = jwts.new_seed(jwts.KeyKind.USER)
    allowed = jwts.UserPermissions(publish, subscribe)
    account = (identity.folder / "account.nk").read_text()
    jwt = jwts.user_jwt(account, jwts.public_key(seed), "spy", allowed, times.now())
    return Credentials(jwt, seed)


class Spy:
    """Another user of the account that hears everything it may."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.transports: list[NatsTransport] = []

    async def listen(self, state_dir: Path, url: str, subscribe: tuple[str, ...] = (">",)) -> None:
        identity = NetworkIdentity.load_or_create(state_dir)
        credentials = user_of(identity, ("nothing",), subscribe)
        transport = await NatsTransport.connect(url, credentials, inbox_prefix="_INBOX_spy")
        self.transports.append(transport)
        for subject in subscribe:
            await transport.subscribe(subject, self.hear)
        await transport.flush()

    async def hear(self, message: Message) -> None:
        self.heard.append(message)

    async def close(self) -> None:
        for transport in self.transports:
            await transport.close()

    def traffic(self) -> bytes:
        return b"\n".join(
            m.subject.encode() + b" " + (m.reply or "").encode() + b" " + m.payload
            for m in self.heard
        )


def spellings(canary: str) -> list[bytes]:
    """The canary raw, in base64 at each of the three offsets, as hex, and JSON-escaped."""
    raw = canary.encode()
    encoded = [raw, raw.hex().encode(), json.dumps(canary).strip('"').encode()]
    encoded += ["".join(f"\\u{ord(letter):04x}" for letter in canary).encode()]
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # The first and last characters mix with their neighbours: search for the middle.
            encoded.append(encode(bytes(offset) + raw).rstrip(b"=")[4:-4])
    return encoded

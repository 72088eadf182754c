"""The newcomer's side: a token becomes keys, credentials and a card.

For: what `adaptery agent join` does. Not for what an agent does afterwards (`agent`).

What always holds:
- The newcomer makes its own keys; only public halves leave its host.
- The card is believed only under the issuer that the token names, and only for these keys.
- Nothing is written before the whole handshake has succeeded.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, cast

from adaptery import base64url, times
from adaptery.errors import (
    DeadlineError,
    IntegrityError,
    UnavailableError,
    from_problem,
)
from adaptery.sealed import (
    SUITE,
    FrameReader,
    JsonObject,
    ReplyKey,
    SealingKey,
    open_card,
    seal,
    signed_bytes,
)
from adaptery.sealed.documents import canonical
from adaptery.signing import SigningKey, VerifyKey
from adaptery.times import Clock
from adaptery_network import subjects
from adaptery_network.agent_files import AgentFiles
from adaptery_network.broker import jwts
from adaptery_network.join.token import NONCE_BYTES, Application, JoinToken, application_info
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.transport import Credentials, Message, Transport

__all__ = ["join"]

logger = logging.getLogger(__name__)

JOIN_SECONDS: Final = 60.0  # wait this long for broker and service to come up
ANSWER_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.25


@dataclass(frozen=True, repr=False)
class _Newcomer:
    """The keys that a newcomer made, before it is anyone."""

    signing_key: SigningKey = field(default_factory=SigningKey.generate)
    sealing_key: SealingKey = field(default_factory=SealingKey.generate)
    user_seed: str = field(default_factory=lambda: jwts.new_seed(jwts.KeyKind.USER))

    def apply(
        self, token: JoinToken, capabilities: Mapping[str, object], reply: str, now: datetime
    ) -> tuple[bytes, ReplyKey]:
        reply_key = ReplyKey.generate()
        application = Application(
            id=token.id,
            secret=token.secret,
            user_key=jwts.public_key(self.user_seed),
            identity_key=self.signing_key.public_text,
            sealing_key=self.sealing_key.public_text,
            capabilities=dict(capabilities),
            reply_key=base64url.encode(reply_key.raw),
            sent_at=times.to_text(now),
            nonce=base64url.encode(secrets.token_bytes(NONCE_BYTES)),
        )
        plaintext = canonical(application.model_dump())
        sealed = seal(plaintext, token.service, application_info(token.owner))
        signature = self.signing_key.sign(
            signed_bytes(subjects.join(token.owner), reply, sealed, purpose="join")
        )
        return bytes([SUITE]) + sealed + signature, reply_key


async def join(
    token_text: str,
    state_dir: Path,
    capabilities: Mapping[str, object],
    *,
    tls_ca: Path | None = None,
    timeout_seconds: float = JOIN_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
    clock: Clock = times.now,
) -> AgentFiles:
    """Join with a one-time token and keep keys, credentials and card under `state_dir`.

    Args:
        token_text: `adj_…`
        state_dir: the agent's folder; an agent that joined there before is replaced.
        capabilities: what this host can do, for its card.
        tls_ca: a CA file to trust for the broker instead of the system's.
        timeout_seconds: how long to wait for the broker and the service to come up.
        answer_seconds: how long one try waits.
        clock: stamps the request.

    Raises:
        InvalidInputError: if the text is not a join token.
        RefusedError: if the token is unknown, used or ended.
        NotAllowedError: if the broker does not accept the token any more.
        UnavailableError: if the broker or the service did not come up.
        IntegrityError: if the answer was not signed by the issuer that the token names.
    """
    token = JoinToken.from_text(token_text)
    prefix = subjects.inbox_prefix(token.id)
    transport = await NatsTransport.connect(
        token.url,
        Credentials(token.jwt, token.seed),
        inbox_prefix=prefix,
        tls_ca=tls_ca,
        timeout_seconds=timeout_seconds,
    )
    handshake = _Handshake(transport, token, dict(capabilities), clock, answer_seconds)
    try:
        async with asyncio.timeout(timeout_seconds):
            files = await handshake.run()
    except TimeoutError:
        raise UnavailableError("The service did not answer; is it running?") from None
    finally:
        await transport.close()
    files.write(state_dir)
    return files


@dataclass(frozen=True, repr=False)
class _Handshake:
    """Asks the desk, with the same keys each time, until it answers."""

    transport: Transport
    token: JoinToken
    capabilities: Mapping[str, object]
    clock: Clock
    answer_seconds: float

    async def run(self) -> AgentFiles:
        newcomer = _Newcomer()
        while True:
            try:
                answer = await self._ask(newcomer)
                return _accept(self.token, newcomer, answer, self.clock())
            except (UnavailableError, DeadlineError) as error:
                logger.info("the service is not there yet: %s", error.code)
            await asyncio.sleep(RETRY_SECONDS)

    async def _ask(self, newcomer: _Newcomer) -> JsonObject:
        reply = self.transport.new_inbox()
        payload, reply_key = newcomer.apply(self.token, self.capabilities, reply, self.clock())
        arrived: asyncio.Queue[Message] = asyncio.Queue()
        subscription = await self.transport.subscribe(reply, arrived.put)
        try:
            await self.transport.publish(subjects.join(self.token.owner), payload, reply)
            async with asyncio.timeout(self.answer_seconds):
                message = await arrived.get()
        except TimeoutError:
            raise DeadlineError("The service did not answer in time.") from None
        finally:
            await subscription.unsubscribe()
        if message.no_responders:
            raise UnavailableError("The service is not connected.")
        frame = FrameReader(reply_key, reply).feed(message.payload)
        assert frame is not None, "a first frame is a frame or a refusal, which raises"
        if frame.type == "error":
            raise from_problem(frame.value)
        return frame.value


def _accept(token: JoinToken, newcomer: _Newcomer, answer: JsonObject, now: datetime) -> AgentFiles:
    issuer = VerifyKey.from_text(token.issuer)
    signed_card = answer.get("card")
    if not isinstance(signed_card, dict):
        raise IntegrityError("The service answered without a card.")
    signed = cast(JsonObject, signed_card)
    card = open_card(signed, issuer, now)
    if (card.identity_key, card.sealing_key) != (
        newcomer.signing_key.public_text,
        newcomer.sealing_key.public_text,
    ):
        raise IntegrityError("The card is for other keys than those of this agent.")
    return AgentFiles(
        url=token.url,
        issuer=issuer,
        service=token.service,
        signed_card=signed,
        card=card,
        signing_key=newcomer.signing_key,
        sealing_key=newcomer.sealing_key,
        credentials=Credentials(str(answer.get("jwt")), newcomer.user_seed),
    )

"""The service's desk where newcomers redeem their tokens.

For: checking an application, dating and signing the card, minting the credentials. Not for storing
tokens and agents: the service's database does, through two callbacks.

What always holds:
- A token joins one agent. The same newcomer may ask again and gets the same answer, so a lost
  answer costs nothing; anyone else is refused, without a reason.
- The agent is stored before it is told, so no agent exists that the service does not know.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from adaptery import times
from adaptery.errors import (
    AdapteryError,
    IntegrityError,
    InternalError,
    InvalidInputError,
    RefusedError,
    UnavailableError,
)
from adaptery.ids import new_id
from adaptery.sealed import (
    REFUSAL,
    SUITE,
    WINDOW_SECONDS,
    AgentCard,
    FrameWriter,
    Freshness,
    JsonObject,
    RefusalReason,
    ReplyKey,
    sign_card,
    signed_bytes,
)
from adaptery.sealed.documents import read_bytes, read_object
from adaptery.sealed.suites import read_sealing_public
from adaptery.signing import SIGNATURE_BYTES, VerifyKey
from adaptery.times import Clock
from adaptery_network import subjects
from adaptery_network.broker import NetworkIdentity, jwts
from adaptery_network.join.token import NONCE_BYTES, Application, application_info
from adaptery_network.transport import Message, Subscription, Transport

__all__ = ["Enrol", "JoinDesk", "JoinedAgent", "Redeem"]

logger = logging.getLogger(__name__)

CARD_DAYS: Final = 365  # after that an agent joins anew
REQUEST_LIMIT_BYTES: Final = 64 * 1024
REMEMBERED_ANSWERS: Final = 256
_REPLY_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class JoinedAgent:
    """A new agent, for the service to store."""

    token_id: str
    card: AgentCard
    #: the card as it was signed, to be handed to callers
    signed_card: JsonObject
    #: the broker user, to be revoked with `broker.revoke_user`
    user_key: str


#: Given token id and secret, spends the token and returns its labels; raises `RefusedError` if it
#: may not be spent.
Redeem = Callable[[str, str], Awaitable[Sequence[str]]]
#: Stores the new agent.
Enrol = Callable[[JoinedAgent], Awaitable[None]]


class JoinDesk:
    """The service's side of the handshake.

    Args:
        transport: the service's connection.
        identity: signs the card and mints the credentials.
        redeem: spends a token.
        enrol: stores the agent, before it is told.
        clock: judges stamps and dates the card.
    """

    def __init__(
        self,
        transport: Transport,
        identity: NetworkIdentity,
        redeem: Redeem,
        enrol: Enrol,
        *,
        clock: Clock = times.now,
    ) -> None:
        self._transport = transport
        self._identity = identity
        self._redeem = redeem
        self._enrol = enrol
        self._clock = clock
        self._freshness = Freshness(WINDOW_SECONDS, started_at=None)
        self._answers: dict[tuple[str, str], JsonObject] = {}
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to take newcomers.

        Raises:
            UnavailableError: if there is no connection.
        """
        subject = subjects.join(self._identity.owner)
        self._subscription = await self._transport.subscribe(subject, self._receive)

    async def stop(self) -> None:
        """Take no more newcomers."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def _receive(self, message: Message) -> None:
        # One at a time on purpose: a token is never spent twice by two handshakes in flight.
        if message.reply is None:
            return
        try:
            payload = await self._answer(message, message.reply)
        except RefusedError as error:
            logger.warning("refused a newcomer: %s", error.reason)
            payload = REFUSAL
        try:
            await self._transport.publish(message.reply, payload)
        except UnavailableError:
            logger.warning("a newcomer could not be answered; it asks again")

    async def _answer(self, message: Message, reply: str) -> bytes:
        application, reply_key = self._open(message, reply)
        writer = FrameWriter(reply_key, reply)
        try:
            return writer.data(await self._admit(application))
        except RefusedError:
            raise
        except AdapteryError as error:
            return writer.error(error.to_problem(new_id("rq")))
        except Exception as error:
            request_id = new_id("rq")
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("join %s failed with %s\n%s", request_id, type(error).__name__, where)
            return writer.error(InternalError().to_problem(request_id))

    def _open(self, message: Message, reply: str) -> tuple[Application, ReplyKey]:
        payload = message.payload
        if len(payload) > REQUEST_LIMIT_BYTES or payload[:1] != bytes([SUITE]):
            raise RefusedError(reason=RefusalReason.MALFORMED)
        sealed, signature = payload[1:-SIGNATURE_BYTES], payload[-SIGNATURE_BYTES:]
        info = application_info(self._identity.owner)
        try:
            plaintext = self._identity.sealing_key.open(sealed, info)
            application = Application.model_validate(read_object(plaintext))
            signed = signed_bytes(message.subject, reply, sealed, purpose="join")
            _check(application, signature, signed)
            reply_key = ReplyKey(read_bytes(application.reply_key, _REPLY_KEY_BYTES))
            nonce = read_bytes(application.nonce, NONCE_BYTES)
            sent_at = times.from_text(application.sent_at)
        except (IntegrityError, InvalidInputError, ValidationError, ValueError):
            raise RefusedError(reason=RefusalReason.SEAL) from None
        self._freshness.admit(nonce, sent_at, self._clock())
        return application, reply_key

    async def _admit(self, application: Application) -> JsonObject:
        asker = (application.id, application.identity_key)
        if asker not in self._answers:
            labels = await self._redeem(application.id, application.secret)
            joined = self._make(application, labels)
            await self._enrol(joined)
            self._remember(asker, joined)
        return self._answers[asker]

    def _make(self, application: Application, labels: Sequence[str]) -> JoinedAgent:
        now = self._clock()
        card = AgentCard(
            agent=new_id("ag"),
            owner=self._identity.owner,
            labels=tuple(labels),
            capabilities=application.capabilities,
            identity_key=application.identity_key,
            sealing_key=application.sealing_key,
            issued_at=now,
            not_after=now + timedelta(days=CARD_DAYS),
        )
        signed = sign_card(card, self._identity.signing_key)
        return JoinedAgent(application.id, card, signed, application.user_key)

    def _remember(self, asker: tuple[str, str], joined: JoinedAgent) -> None:
        jwt = self._identity.agent_jwt(joined.card.agent, joined.user_key)
        self._answers[asker] = {"card": joined.signed_card, "jwt": jwt}
        while len(self._answers) > REMEMBERED_ANSWERS:
            del self._answers[next(iter(self._answers))]


def _check(application: Application, signature: bytes, message: bytes) -> None:
    VerifyKey.from_text(application.identity_key).verify(signature, message)
    read_sealing_public(application.sealing_key)
    if not jwts.is_public_key(application.user_key, jwts.KeyKind.USER):
        raise IntegrityError("A newcomer's broker user is no user key.")

"""`sealed/offer` and `sealed/send`: inference that this service cannot read.

An error before the agent's first message is a proper HTTP error. One after it is a last piece that
holds a problem; a reply is whole only if the agent's own end is among its pieces.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext

from adaptery.errors import RateLimitError
from adaptery.schemas.sealed import SealedOffer, SealedOfferCreate, SealedSend
from adaptery.sealed import write_piece
from adaptery_hub.gateway.rebuild import DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT
from adaptery_hub.gateway.sealed_answers import Accepted, SealedAnswer
from adaptery_hub.handlers.admission import may_use, until_closed, while_admitted
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.sse import send_patiently
from adaptery_hub.routes import Operation, Route

SEALED_MEDIA = "application/octet-stream"
#: After this a caller may try again whose tokens others have reserved since its offer.
RETRY_SECONDS = 1.0


class _SealedHandler(Handler):
    def reserved(self, max_tokens: int, answers: int) -> AbstractAsyncContextManager[int | None]:
        """Hold what the request may make of its key's tokens, if it came with a key."""
        key = self.identity.key
        if key is None:
            return nullcontext()
        return self.services.key_limits.reserved(
            key, self.request_id, max_tokens, answers, self.tell_limits
        )


class SealedOfferHandler(_SealedHandler):
    """Offers to callers that seal."""

    async def post(self) -> None:
        """Answer with an agent's card, and a grant for one request to it.

        What a key has left decides how much is granted; it is reserved when the request comes.
        """
        self.hold(self.services.answers)
        await until_closed(self, self._offer(self.body(SealedOfferCreate)))

    async def _offer(self, wanted: SealedOfferCreate) -> None:
        most = min(wanted.max_tokens or DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT)
        async with self.reserved(most, wanted.answers) as limit:
            offer = await compute_of(self).sealed.offer(
                self.identity, wanted, self.request_id, limit, self.tell_limits
            )
        self.answer(offer)


class SealedSendHandler(_SealedHandler):
    """Sealed requests, and what agents send back."""

    async def post(self) -> None:
        """Relay a sealed request to the agent of its offer, and the pieces of the reply."""
        self.hold(self.services.answers)
        await until_closed(self, self._serve(self.body(SealedSend)))

    async def _serve(self, sent: SealedSend) -> None:
        channel = compute_of(self).sealed
        accepted = await channel.accept(self.identity, sent)
        async with self.reserved(accepted.max_tokens, accepted.answers) as limit:
            if limit is not None and limit < accepted.max_tokens:
                raise RateLimitError(
                    "Less is left of this key's tokens of today than when the offer was made.",
                    hint="ask sealed/offer again",
                    retry_after_seconds=RETRY_SECONDS,
                )
            # The limits of user, adapter and owner are held since the offer; see `gateway.sealed`.
            answer = await channel.open(self.identity, accepted, self.request_id, self.tell_limits)
            try:
                await self._relay(answer, accepted)
            finally:
                await asyncio.shield(answer.close())

    async def _relay(self, answer: SealedAnswer, accepted: Accepted) -> None:
        adapter_id = accepted.adapter_id
        try:
            await while_admitted(self, self._pieces(answer), adapter_id, may_use(adapter_id))
        except Exception as error:
            if not self._headers_written:
                raise
            problem = json.dumps(self.break_off(error).to_problem(self.request_id)).encode()
            self.write(write_piece("problem", problem))
        if not self.closed.is_set():
            await self.finish()

    async def _pieces(self, answer: SealedAnswer) -> None:
        async with aclosing(answer.messages()) as messages:
            async for message in messages:
                if not self._headers_written:
                    self._begin()
                await send_patiently(self, write_piece("frame", message))

    def _begin(self) -> None:
        self.hold(self.services.streams)
        self.set_header("Content-Type", SEALED_MEDIA)
        self.set_header("X-Accel-Buffering", "no")  # nginx buffers answers without it


ROUTES = [
    Route(
        "sealed/offer",
        SealedOfferHandler,
        {
            "POST": Operation(
                "infer",
                "What a client needs to seal one request to an agent: its card, and a grant.",
                request=SealedOfferCreate,
                response=SealedOffer,
                keys=True,
            )
        },
    ),
    Route(
        "sealed/send",
        SealedSendHandler,
        {
            "POST": Operation(
                "infer",
                "Relay a sealed request, and the sealed pieces of its answer as they come.",
                request=SealedSend,
                media=SEALED_MEDIA,
                keys=True,
                uncounted=True,
            )
        },
    ),
]

"""One request over the sealed channel, without any I/O: what to send, and what came back.

For: clients that seal (`sealing`). The answer is rebuilt in OpenAI's shape here, by the same code
that the service uses on the open channel, so that a caller sees no difference.

What always holds:
- Each offer is asked for with a fresh key; a request is sealed to one agent and sent once.
- An answer is whole only if the agent's own end came; one that was cut, altered or reordered is an
  error, whatever the service says.
- What is kept of an answer is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from adaptery import base64url
from adaptery.answer_shapes import AnswerHead, Delta, Json, Usage, shape_of
from adaptery.errors import (
    FieldProblem,
    IntegrityError,
    InvalidInputError,
    UnavailableError,
    from_problem,
)
from adaptery.ids import new_id
from adaptery.schemas.common import parse
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery.schemas.sealed import SealedOffer, SealedOfferCreate, SealedPath, SealedSend
from adaptery.sealed import AgentCard, Frame, FrameReader, PieceReader, open_card, seal_request
from adaptery.sealed.documents import read_object
from adaptery.signing import SigningKey, VerifyKey

__all__ = ["SealedCall", "SealedReply"]

#: Of one reply, as the service and the agent have it too.
REPLY_LIMIT_BYTES = 64 * 1024 * 1024
#: Of a plain answer with all that belongs to it.
WHOLE_LIMIT_BYTES = 32 * 1024 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEMAS: dict[SealedPath, type[ChatRequest] | type[CompletionRequest]] = {
    "chat/completions": ChatRequest,
    "completions": CompletionRequest,
}


class SealedCall:
    """A request that is to be sealed, perhaps to one agent after another until one begins.

    Raises `InvalidInputError` for what the open channel refuses, before anything is sent.
    """

    def __init__(self, path: SealedPath, body: object) -> None:
        self.request = parse(_SCHEMAS[path], body)
        if self.streamed and self.request.made_count() > self.request.choice_count():
            problem = FieldProblem("best_of", "cannot be streamed.", "Leave stream or best_of out.")
            raise InvalidInputError(errors=[problem])
        self._path: SealedPath = path
        self._key = SigningKey.generate()

    @property
    def streamed(self) -> bool:
        """Whether the caller wants the answer as it is made."""
        return self.request.stream

    def offer_body(self, model: str, tried: Sequence[str]) -> Json:
        """Return the body for `sealed/offer`; the offer is for a key that no other one is for."""
        self._key = SigningKey.generate()
        wanted = SealedOfferCreate(
            model=model,
            path=self._path,
            caller_key=self._key.public_text,
            max_tokens=self.request.token_limit(),
            answers=self.request.made_count(),
            tried=tuple(tried),
        )
        return wanted.model_dump(mode="json")

    def seal(self, offer: SealedOffer) -> tuple[Json, SealedReply]:
        """Return the body for `sealed/send`, and what reads the reply to it.

        Raises:
            IntegrityError: the offer holds no valid card.
            InvalidInputError: the request holds a value that JSON cannot carry exactly.
            TooLargeError: the request is larger than one message.
        """
        request = self.request.engine_request("")
        del request["model"]
        if "max_tokens" in request:
            request["max_tokens"] = offer.max_tokens
        payload, reply_key = seal_request(
            card=_card_of(offer),
            verb="infer",
            subject=offer.subject,
            reply=offer.reply,
            grant=offer.grant,
            body={"path": self._path, "request": request},
            caller_key=self._key,
            now=offer.now,
        )
        sent = SealedSend(grant=offer.grant, path=self._path, payload=base64url.encode(payload))
        reply = SealedReply(self, offer, FrameReader(reply_key, offer.reply))
        return sent.model_dump(mode="json"), reply


class SealedReply:
    """Reads the reply to one sealed request."""

    def __init__(self, call: SealedCall, offer: SealedOffer, reader: FrameReader) -> None:
        self._reader = reader
        self._pieces = PieceReader()
        self._wants_usage = call.request.wants_usage()
        self._shape = shape_of(call.request, offer.max_tokens)
        self._offer = offer
        self._head = self._name(new_id("rq"))
        self._usage = Usage()
        self._read_bytes = 0

    @property
    def finished(self) -> bool:
        """Whether the whole answer is here."""
        return self._reader.finished

    def name(self, request_id: str | None) -> None:
        """Call the answer after the request, so that both are found by one id."""
        if request_id and _REQUEST_ID.fullmatch(request_id):
            self._head = self._name(request_id)

    def feed(self, portion: bytes) -> Iterator[list[Delta]]:
        """Yield what the next bytes of the reply add to the answer.

        Raises:
            IntegrityError: frames are missing, altered or out of order, or there is no end of them.
            AdapteryError: what the agent or the service answers instead.
        """
        self._read_bytes += len(portion)
        if self._read_bytes > REPLY_LIMIT_BYTES:
            raise IntegrityError("The agent's reply is larger than any answer.")
        for piece in self._pieces.feed(portion):
            if self.finished:
                return  # whatever the service says behind the agent's end
            if piece.kind == "problem":
                raise from_problem(read_object(piece.payload))
            frame = self._reader.feed(piece.payload)
            if frame is not None and (deltas := self._take(frame)):
                yield deltas

    def end(self) -> None:
        """Note that no more bytes come.

        Raises:
            UnavailableError: the answer is not whole.
        """
        if not self.finished:
            raise UnavailableError("The answer was cut off.", hint="ask again")

    def chunk(self, deltas: Sequence[Delta]) -> Json:
        """Return a chunk of a streamed answer, as the open route sends it."""
        chunk = self._shape.chunk(self._head, deltas)
        return {**chunk, "usage": None} if self._wants_usage else chunk

    def last_chunk(self) -> Json | None:
        """Return the chunk that holds the usage, if the caller wants one."""
        return self._shape.usage_chunk(self._head, self._usage) if self._wants_usage else None

    def whole(self, deltas: Sequence[Delta]) -> Json:
        """Return the plain answer."""
        return self._shape.whole(self._head, deltas, self._usage)

    def _take(self, frame: Frame) -> list[Delta]:
        if frame.type == "error":
            raise from_problem(frame.value)
        if frame.type == "usage":
            self._usage = Usage.read(frame.value, self._shape.limits)
        return self._shape.read(frame.value) if frame.type == "data" else []

    def _name(self, request_id: str) -> AnswerHead:
        prefix = "chatcmpl" if self._shape.kind == "chat/completions" else "cmpl"
        created = int(self._offer.now.timestamp())
        return AnswerHead(f"{prefix}-{request_id}", created, self._offer.model)


def check_size(deltas: Sequence[Delta]) -> int:
    """Return how much of a plain answer these are."""
    return sum(delta.size() for delta in deltas)


def _card_of(offer: SealedOffer) -> AgentCard:
    return open_card(offer.card, VerifyKey.from_text(offer.issuer), offer.now)

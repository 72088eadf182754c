"""The way of one request to the channel that its model needs, without any I/O.

A flow yields what is to be sent and read, and ends with an answer in OpenAI's shape; the clients
(`sealing`) do the sending, one waiting and one not.

What always holds:
- Before a prompt is sent, the service is asked which channel its model needs. A prompt for a
  restricted adapter never leaves in the open.
- A body with `"sealed": true` is sealed whatever its model, and that word does not travel.
- An answer without the agent's own end is an error: in the stream where it has begun, else as the
  status that the open channel has.
- Another agent is asked only before the first piece of an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import quote

import httpx

from adaptery.errors import (
    AdapteryError,
    DeadlineError,
    InternalError,
    InvalidInputError,
    MissingExtraError,
    NoAgentError,
    RefusedError,
    TooLargeError,
    UnavailableError,
    from_openai,
    from_problem,
)

if TYPE_CHECKING:
    from adaptery.answer_shapes import Delta
    from adaptery.client.sealed_calls import SealedCall, SealedReply
    from adaptery.schemas.sealed import SealedOffer

__all__ = [
    "Begun",
    "Close",
    "Flow",
    "Read",
    "Sealer",
    "Send",
    "Target",
    "event",
    "events",
    "first_events",
]

#: Agents that are asked, one after the other, until one begins to answer.
ATTEMPTS = 3
#: Models whose channel is remembered.
REMEMBERED_MODELS = 1000

_ASKED = re.compile(
    r"(?P<root>.*?/)(?P<bound>a/[^/]+/[^/]+/)?v1/(?P<path>chat/completions|completions)"
)
_KEY_PREFIX = "Bearer ak-"
_HEADERS = ("Authorization", "User-Agent")
#: After these another agent, or the same one later, may well answer.
_PASSING = (UnavailableError, RefusedError, DeadlineError)

Json: TypeAlias = dict[str, object]


@dataclass(frozen=True)
class Target:
    """Where a request for an answer goes."""

    #: below which the service's routes are
    root: str
    #: `a/<owner>/<name>/` of an address that is bound to one adapter
    bound: str
    path: str

    @classmethod
    def of(cls, request: httpx.Request) -> Target | None:
        """Return where it goes; None if it asks for something else."""
        raw = request.url.raw_path.decode("ascii").partition("?")[0]
        match = _ASKED.fullmatch(raw) if request.method == "POST" else None
        return cls(match["root"], match["bound"] or "", match["path"]) if match else None


@dataclass(frozen=True)
class _Model:
    id: str
    sealed: bool


# -- what a flow asks of whoever does the I/O ---------------------------------------------------


@dataclass(frozen=True)
class Send:
    """A request, whose answer is read to its end unless it is streamed."""

    request: httpx.Request
    streamed: bool = False


@dataclass(frozen=True)
class Read:
    """More bytes of the streamed answer; none at its end."""


@dataclass(frozen=True)
class Close:
    """The streamed answer is not read any further."""


@dataclass(frozen=True)
class Begun:
    """A streamed answer that has begun."""

    reply: SealedReply
    first: Sequence[Sequence[Delta]]


Step: TypeAlias = Send | Read | Close
#: Ends with an answer, or with None if the request is to be sent as it is.
Flow: TypeAlias = Generator[Step, Any, httpx.Response | Begun | None]


@dataclass
class Sealer:
    """Decides over which channel a request goes, and takes it there."""

    _models: dict[tuple[str, str], _Model] = field(default_factory=dict[tuple[str, str], _Model])

    def flow(self, request: httpx.Request, target: Target) -> Flow:
        """Take one request to its answer; its body has been read."""
        body = _object_of(request.content)
        if body is None:
            return None  # the service says what is wrong with it
        forced = body.pop("sealed", None) is True
        try:
            model = yield from self._look_up(request, target, body.get("model"))
            if isinstance(model, httpx.Response):
                return model
            if not (forced or (model is not None and model.sealed)):
                return None
            call = _call_of(target.path, body)
            name = model.id if model is not None else ""
            return (yield from _ask(request, target, call, name))
        except AdapteryError as error:
            return _failure(request, error)

    def _look_up(
        self, request: httpx.Request, target: Target, name: object
    ) -> Generator[Step, Any, _Model | httpx.Response | None]:
        """Find what the request's model is, or the service's error about it.

        None: it is no name, or none that the service has to say something about.
        """
        text = name if isinstance(name, str) else ""
        place = (target.root + target.bound, text)
        if (known := self._models.get(place)) is not None:
            return known
        if any(part in ("", ".", "..") for part in text.split("/")) and text:
            return None
        of_a_key = request.headers.get("Authorization", "").startswith(_KEY_PREFIX)
        if not text and not target.bound and not of_a_key:
            return None  # the default base model
        path = f"{place[0]}v1/models" + (f"/{quote(text, safe='/@')}" if text else "")
        response = yield Send(_inner(request, "GET", path))
        if not response.is_success:
            return response
        found = _model_of(response, only=bool(target.bound) or of_a_key)
        if found is not None and found.id == text and "@" in text.rpartition("/")[2]:
            # A version never changes its sensitivity.
            if len(self._models) >= REMEMBERED_MODELS:
                self._models.clear()
            self._models[place] = found
        return found


def _ask(
    request: httpx.Request, target: Target, call: SealedCall, model: str
) -> Generator[Step, Any, httpx.Response | Begun]:
    """Ask one agent after the other until one begins to answer."""
    tried: list[str] = []
    last: AdapteryError | None = None
    while True:
        response = yield Send(
            _inner(request, "POST", target.root + "sealed/offer", call.offer_body(model, tried))
        )
        if not response.is_success:
            error = _error_of(response)
            raise last if last is not None and isinstance(error, NoAgentError) else error
        offer = _offer_of(response)
        try:
            return (yield from _answer(request, target, call, offer))
        except _PASSING as error:
            last = error
            tried.append(str(offer.card.get("card", {}).get("agent", "")))
            if len(tried) == ATTEMPTS:
                raise


def _answer(
    request: httpx.Request, target: Target, call: SealedCall, offer: SealedOffer
) -> Generator[Step, Any, httpx.Response | Begun]:
    """Ask the agent of one offer."""
    from adaptery.client.sealed_calls import WHOLE_LIMIT_BYTES, check_size

    body, reply = call.seal(offer)
    response = yield Send(_inner(request, "POST", target.root + "sealed/send", body), streamed=True)
    deltas: list[list[Delta]] = []
    size = 0
    try:
        if not response.is_success:
            raise _error_of(response)
        reply.name(response.headers.get("x-request-id"))
        while not reply.finished and not (call.streamed and deltas):
            portion = yield Read()
            for some in reply.feed(portion):
                deltas.append(some)
                size += check_size(some)
            if not portion:
                reply.end()
            if size > WHOLE_LIMIT_BYTES:
                raise TooLargeError(
                    f"The answer is over the {WHOLE_LIMIT_BYTES} bytes of a plain one.",
                    hint="ask for a stream, or for fewer answers, tokens or logprobs",
                )
    except AdapteryError as error:
        yield Close()
        if deltas:  # it has begun; nobody else is asked
            return _failure(request, error)
        raise
    if call.streamed:
        return Begun(reply, deltas)
    yield Close()
    whole = reply.whole([delta for some in deltas for delta in some])
    return httpx.Response(200, json=whole, request=request)


def events(reply: SealedReply, portion: bytes) -> Iterator[bytes]:
    """Yield the events that the next bytes make; the last ones if the answer is whole with them."""
    for deltas in reply.feed(portion):
        yield event(reply.chunk(deltas))
    if not portion:
        reply.end()
    if reply.finished:
        yield from _end(reply)


def _end(reply: SealedReply) -> Iterator[bytes]:
    if (usage := reply.last_chunk()) is not None:
        yield event(usage)
    yield b"data: [DONE]\n\n"


def event(value: Mapping[str, object]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def first_events(begun: Begun) -> bytes:
    """Return the events of what has come already."""
    first = [event(begun.reply.chunk(deltas)) for deltas in begun.first]
    return b"".join([*first, *(_end(begun.reply) if begun.reply.finished else ())])


def _call_of(path: str, body: Json) -> SealedCall:
    try:
        from adaptery.client.sealed_calls import SealedCall
    except (ImportError, MissingExtraError):
        raise MissingExtraError.for_extra(
            "sealed", "Asking a restricted adapter, over the sealed channel,"
        ) from None
    return SealedCall("chat/completions" if path == "chat/completions" else "completions", body)


def _inner(
    request: httpx.Request, method: str, raw_path: str, body: object = None
) -> httpx.Request:
    """Return a request of our own with the caller's token, patience and address."""
    headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
    return httpx.Request(
        method,
        request.url.copy_with(raw_path=raw_path.encode("ascii")),
        headers={**headers, "Accept-Encoding": "identity"},
        json=body,
        extensions=dict(request.extensions),
    )


def _object_of(content: bytes) -> Json | None:
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return cast(Json, value) if isinstance(value, dict) else None


def _model_of(response: httpx.Response, *, only: bool) -> _Model | None:
    """Return the model that an answer describes: one, or the only one of a list."""
    found = _object_of(response.content) or {}
    if isinstance(found.get("data"), list):
        data = cast("list[Json]", found["data"])
        if not only or len(data) != 1:
            return None
        found = data[0]
    return _Model(str(found.get("id", "")), found.get("channel") == "sealed")


def _offer_of(response: httpx.Response) -> SealedOffer:
    from pydantic import ValidationError

    from adaptery.schemas.sealed import SealedOffer

    try:
        return SealedOffer.model_validate_json(response.content)
    except ValidationError:
        raise InternalError(
            "The service answered something that this client does not understand.",
            hint="client and service may be more than one minor version apart",
        ) from None


def _error_of(response: httpx.Response) -> AdapteryError:
    fields = _object_of(response.content) or {}
    if isinstance(fields.get("error"), dict):
        error = from_openai(fields, response.status_code)
    else:
        error = from_problem({"status": response.status_code, **fields})
    error.request_id = error.request_id or response.headers.get("x-request-id")
    return error


def _failure(request: httpx.Request, error: AdapteryError) -> httpx.Response:
    """Return an error as the open route answers it."""
    status = 400 if error.status == InvalidInputError.status else error.status
    headers = {"x-request-id": error.request_id} if error.request_id else {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_seconds)))
    return httpx.Response(status, headers=headers, json=error.to_openai(), request=request)

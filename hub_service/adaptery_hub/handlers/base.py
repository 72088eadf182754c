"""What every handler has: the caller's identity, checked scope, bounded body, one error shape.

A handler's method runs only after `admit` found the operation in the route table, asked the Hub
who is calling and checked the operation's scope. So no handler can forget a scope, and a read-only
token fails on every write before its body is read.

Invariants:

- API handlers never redirect: 401 or 403 as JSON. Only the page (`page.py`) sends to the login.
- A cookie session needs the Hub's XSRF token for every request but a load of the page; token
  requests need none. `HubIdentities` checks it; tornado's `xsrf_cookies` stays off, because
  it would check before anyone knows whether a token came with the request.
- Bodies are streamed: the identity is known before the first byte of a body is kept, and no more
  than `JSON_BODY_LIMIT_BYTES` of a JSON body is.
- An own key is told from a Hub token by its form, is never sent to the Hub, and reaches only the
  operations that the route table opens to keys.
- An exception that is not an `AdapteryError` is our bug: 500 with the request id, nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from jupyterhub.services.auth import HubOAuthenticated
from pydantic import BaseModel
from sqlalchemy.engine import Connection
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import HTTPError, stream_request_body

from adaptery.errors import (
    AdapteryError,
    ConflictError,
    InsufficientQuotaError,
    MethodNotAllowedError,
    MissingExtraError,
    NotAllowedError,
    NotAuthenticatedError,
    RateLimitError,
    TooLargeError,
)
from adaptery.ids import new_id
from adaptery.schemas.common import parse_json
from adaptery_hub import logs
from adaptery_hub.audit import AuditEntry
from adaptery_hub.handlers.json_bodies import check_json
from adaptery_hub.handlers.queries import QueryReader
from adaptery_hub.handlers.request_headers import content_length, key_secret, waits_for_our_word
from adaptery_hub.handlers.told_errors import as_told, stopping
from adaptery_hub.identity import Identity, KeyHold
from adaptery_hub.interruption import Interruption
from adaptery_hub.paging import fitting
from adaptery_hub.routes import Operation, Route

if TYPE_CHECKING:
    from adaptery_hub.services import Services
    from adaptery_hub.turnstile import Turnstile

M = TypeVar("M", bound=BaseModel)

#: A JSON body larger than this is refused; files have their own, larger limit.
JSON_BODY_LIMIT_BYTES = 4 * 1024 * 1024

#: OpenAI's clients would otherwise ask twice more before they say so.
_USELESS_TO_RETRY = (ConflictError, InsufficientQuotaError, MissingExtraError)

logger = logging.getLogger(__name__)


@stream_request_body
class Handler(HubOAuthenticated, QueryReader):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Base of all handlers of the service."""

    services: Services
    route: Route
    operation: Operation
    #: How errors look here, and the status of input that is not valid: what OpenAPI says of them.
    error_media = "application/problem+json"
    invalid_status = 422
    #: Whether a session may come without its XSRF token, because a person opens it.
    is_page = False

    def initialize(self, services: Services, route: Route) -> None:
        """Take what the route table hands over; called by tornado."""
        self.services = services
        self.route = route
        self.closed = asyncio.Event()
        self._interruptions: list[Interruption] = []  # the innermost last
        self._identity: Identity | None = None
        self._body = bytearray()
        services.open_requests.add(self)
        self._received_bytes = 0
        self._limit_headers: dict[str, str] = {}
        self._leave: list[Callable[[], None]] = []

    # -- before the method ----------------------------------------------------------------------

    def set_default_headers(self) -> None:
        """Headers of every answer; called by tornado, also before an error is rendered."""
        if not hasattr(self, "request_id"):
            self.request_id = new_id("rq")
        self.clear_header("Server")
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        for name, value in getattr(self, "_limit_headers", {}).items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        """Admit or refuse the request; called by tornado before the body is read.

        A refusal waits until the body is read and dropped, also when there is none: tornado closes
        the connection after an answer that comes before the end of the request, and a proxy that
        uses the connection again would answer 502 to the next request.
        """
        logs.request_id.set(self.request_id)
        try:
            await self.admit()
        except Exception as error:
            if waits_for_our_word(self.request):
                raise
            self._refuse_after_body(error)

    async def admit(self) -> None:
        """Find the operation, the caller and the caller's scope.

        Raises:
            MethodNotAllowedError: the route has no such method.
            TooLargeError: the announced body is over the limit.
            NotAuthenticatedError: no valid token came with the request.
            NotAllowedError: the token lacks the scope.
            UnavailableError: the service is ending.
        """
        if self.services.draining:
            raise stopping()
        operation = self.route.methods.get(self.request.method or "")
        if operation is None:
            raise MethodNotAllowedError(hint=f"Allowed: {', '.join(self.route.methods)}.")
        self.operation = operation
        if not operation.streamed:
            self._check_length(content_length(self.request.headers.get("Content-Length")))
        if operation.scope != "open":
            await self.authenticate()

    async def authenticate(self) -> None:
        """Ask who is calling and check the scope of the operation.

        Raises:
            NotAuthenticatedError: no valid token came with the request.
            NotAllowedError: the token lacks the scope.
        """
        if (secret := key_secret(self.request)) is not None:
            self._identity = await self._admit_key(secret)
            return
        model = await self.services.identities.identify(self, fresh=self.operation.fresh_identity)
        if model is None:
            raise NotAuthenticatedError(
                hint="Send Authorization: Bearer <token>; a browser session also needs the header "
                "X-XSRFToken."
            )
        identity = await self.services.tenants.identity_of(model)
        identity.check_scope(self.operation.scope)
        self._identity = identity

    async def _admit_key(self, secret: str) -> Identity:
        identity = await self.services.keys.identify(secret)
        assert identity.key is not None
        again = self._identity is not None  # a running answer that looks again is no new request
        if not again and not self.operation.uncounted:
            self._count_request(identity.key)
        if not self.operation.keys:
            raise NotAllowedError(
                "An own key reaches models and completions only.",
                hint="Use a token of the Hub for everything else.",
            )
        if verb := self.operation.key_verb:
            identity.check_verb(verb)
        else:
            identity.check_scope(self.operation.scope)
        return identity

    def _count_request(self, key: KeyHold) -> None:
        headers, wait_seconds = self.services.key_limits.take_request(key)
        self.tell_limits(headers)
        if wait_seconds:
            raise RateLimitError(
                "This key has made its requests of this minute.",
                retry_after_seconds=wait_seconds,
            )

    def tell_limits(self, headers: Mapping[str, str]) -> None:
        """Add headers about limits to the answer, also if it becomes an error."""
        self._limit_headers |= headers
        for name, value in headers.items():
            self.set_header(name, value)

    @property
    def identity(self) -> Identity:
        """The caller. Only operations with a scope other than `open` have one."""
        assert self._identity is not None, "this operation has no identity"
        return self._identity

    def get_current_user(self) -> Identity | None:
        """Tornado's name for the caller; never asks the Hub, unlike the mixin's own."""
        return self._identity

    # -- the request ----------------------------------------------------------------------------

    async def data_received(self, chunk: bytes) -> None:
        """Collect a JSON body up to its limit; called by tornado."""
        # Raising here would cut the connection without an answer; `body` raises instead.
        self._received_bytes += len(chunk)
        admitted = self._identity is not None  # what is refused is read to its end, and dropped
        if admitted and self._received_bytes <= JSON_BODY_LIMIT_BYTES:
            self._body += chunk

    @property
    def received_bytes(self) -> int:
        """How large the body is that came."""
        return self._received_bytes

    def body(self, schema: type[M]) -> M:
        """Return the JSON body as `schema`.

        Raises:
            TooLargeError: the body is over the limit.
            InvalidInputError: it is not JSON, has a key twice, or does not fit the schema. No
                body at all counts as `{}`.
        """
        self._check_length(self._received_bytes)
        raw = bytes(self._body)
        if raw:
            check_json(raw)
        return parse_json(schema, raw)

    # -- the answer -----------------------------------------------------------------------------

    def audit(
        self, connection: Connection, action: str, thing_id: str, **details: str | int
    ) -> None:
        """Write down what the caller does, in the transaction that does it; never content."""
        compute = self.services.compute
        if compute is not None:
            entry = AuditEntry(action, self.identity.tenant_id, thing_id, details, self.request_id)
            compute.audit.append(connection, entry)

    def answer(self, model: BaseModel, status: int | None = None) -> None:
        """Finish with `model` as JSON; the status defaults to the operation's."""
        self.set_status(status or self.operation.status)
        self.set_header("Content-Type", "application/json")
        self.finish(model.model_dump_json())

    def answer_json(self, value: Mapping[str, object], status: int | None = None) -> None:
        """Finish with a plain mapping as JSON, for documents that have no schema of ours."""
        self.set_status(status or self.operation.status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value, ensure_ascii=False))

    def answer_page(self, items: Sequence[BaseModel], limit: int, total: int | None = None) -> None:
        """Finish with a page; `items` holds one more if there are more, which says has_more."""
        texts = [item.model_dump_json() for item in items]
        count = fitting(map(len, texts), limit)
        rest = {"has_more": len(texts) > count} | ({} if total is None else {"total": total})
        self.set_header("Content-Type", "application/json")
        self.finish(f'{{"items":[{",".join(texts[:count])}],{json.dumps(rest)[1:]}')

    def answer_nothing(self) -> None:
        """Finish with 204."""
        self.set_status(204)
        self.finish()

    def hold(self, turnstile: Turnstile) -> None:
        """Count this request among what its caller has open, until it is over.

        Raises:
            QuotaError: the caller has too much open.
        """
        self._leave.append(turnstile.enter(self.identity.tenant_id))

    @contextmanager
    def holding(self, turnstile: Turnstile) -> Iterator[None]:
        """Like `hold`, but until work is done that goes on when the client leaves.

        Raises:
            QuotaError: the caller has too much open.
        """
        leave = turnstile.enter(self.identity.tenant_id)
        try:
            yield
        finally:
            leave()

    @contextmanager
    def interruptible(self) -> Iterator[Interruption]:
        """Give the way into a piece of work that ends when the client leaves, or has left."""
        interruption = Interruption()
        self._interruptions.append(interruption)
        if self.closed.is_set():
            asyncio.get_running_loop().call_soon(interruption.interrupt)
        try:
            yield interruption
        finally:
            self._interruptions.remove(interruption)

    def interrupt(self, reason: AdapteryError) -> None:
        """End the answer with an error, if it can still be told."""
        if self._interruptions:
            self._interruptions[-1].interrupt(reason)

    def cut(self, reason: AdapteryError) -> None:
        """End the answer and the connection: who does not read cannot be told."""
        self.interrupt(reason)
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.close()

    def hurry(self) -> None:
        """Have what is written sent at once, small as it is.

        Otherwise each token of an answer waits for the client to confirm the one before it, which a
        client that has nothing to say itself puts off for 40 ms. Source: RFC 1122, 4.2.3.2 and
        4.2.3.4. Tornado sets it back at the end of the request.
        """
        stream = getattr(self.request.connection, "stream", None)
        if isinstance(stream, IOStream) and not stream.closed():
            stream.set_nodelay(True)

    def chunked_stream(self) -> IOStream | None:
        """Return what the connection writes to, once the headers of an answer in chunks are out."""
        chunked = self._headers_written and "Transfer-Encoding" in self._headers
        stream = getattr(self.request.connection, "stream", None) if chunked else None
        return stream if isinstance(stream, IOStream) and not stream.closed() else None

    def on_connection_close(self) -> None:
        """Note that the client has gone; streams end when they see it."""
        self.closed.set()
        for interruption in self._interruptions:
            interruption.interrupt()
        self._over()
        super().on_connection_close()

    def on_finish(self) -> None:
        """Note that the answer is out; called by tornado."""
        self._over()

    def _over(self) -> None:
        self.services.open_requests.discard(self)
        for leave in self._leave:
            leave()

    # -- errors ---------------------------------------------------------------------------------

    def render_error(self, error: AdapteryError) -> None:
        """Write `error` in this handler's shape; the status and headers are set already."""
        self.set_header("Content-Type", self.error_media)
        self.finish(json.dumps(error.to_problem(self.request_id), ensure_ascii=False))

    def status_of(self, error: AdapteryError) -> int:
        """Return the HTTP status that an error has here."""
        return self.invalid_status if error.status == 422 else error.status

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Render whatever ended the request; called by tornado."""
        exc_info = kwargs.get("exc_info")
        error = as_told(exc_info[1] if exc_info else None, status_code)
        self.services.metrics.errors.labels(error.code).inc()
        self.set_status(self.status_of(error))
        if isinstance(error, NotAuthenticatedError):
            self.set_header("WWW-Authenticate", "Bearer")
        if isinstance(error, MethodNotAllowedError):
            self.set_header("Allow", ", ".join(self.route.methods))
        if waits_for_our_word(self.request) or self.services.draining:
            self.set_header("Connection", "close")
        if error.retry_after_seconds is not None:
            self.set_header("Retry-After", str(math.ceil(error.retry_after_seconds)))
        self.render_error(error)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Render the error, or cut the connection if the answer has begun; called by tornado."""
        if self._headers_written:
            # A proper end of the stream would make half an answer look whole.
            connection = getattr(self.request, "connection", None)
            stream = getattr(connection, "stream", None)
            if stream is not None:
                stream.close()
            return
        super().send_error(status_code, **kwargs)

    def break_off(self, error: Exception) -> AdapteryError:
        """Return what an answer that has begun ends with; a bug of ours is logged, not told."""
        self.log_exception(type(error), error, error.__traceback__)
        told = as_told(error)
        self.services.metrics.errors.labels(told.code).inc()
        return told

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log our bugs; called by tornado."""
        if isinstance(value, AdapteryError):
            if value.status >= 500:
                logs.log(logger, logging.WARNING, "answered_error", code=value.code)
        elif value is not None and not isinstance(value, HTTPError | StreamClosedError):
            logs.log_exception(logger, "unexpected_error", value)

    def _refuse_after_body(self, error: Exception) -> None:
        async def refuse(**_: str) -> None:
            raise error

        # tornado calls the method by its name once the body is read; here it finds this instead.
        setattr(self, (self.request.method or "get").lower(), refuse)

    def _check_length(self, length_bytes: int) -> None:
        if length_bytes > JSON_BODY_LIMIT_BYTES:
            raise TooLargeError(
                f"The body is over the limit of {JSON_BODY_LIMIT_BYTES} bytes.",
                hint="Upload records as a file.",
            )


class OpenAIHandler(Handler):
    """Base of the `v1` routes: the same rules, errors in OpenAI's shape."""

    error_media = "application/json"
    invalid_status = 400  # as OpenAI has it

    def render_error(self, error: AdapteryError) -> None:
        """See `Handler.render_error`; OpenAI's clients also read when, and whether, to retry."""
        self.set_header("Content-Type", self.error_media)
        if error.retry_after_seconds is not None:
            self.set_header("Retry-After-Ms", str(math.ceil(error.retry_after_seconds * 1000)))
        if isinstance(error, _USELESS_TO_RETRY):
            self.set_header("X-Should-Retry", "false")
        self.finish(json.dumps(error.to_openai(), ensure_ascii=False))

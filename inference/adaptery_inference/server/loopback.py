"""What every handler on loopback does, of the engine and of the embedder: token and error shape.

Every route but ``/health`` needs the bearer token. Errors have OpenAI's shape, also those that
tornado raises. Nothing of a request's body is logged or repeated. Imports nothing of the engine.
"""

import hmac
import json
import logging
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import ClassVar

from tornado.web import HTTPError, RequestHandler

from adaptery.errors import (
    AdapteryError,
    InternalError,
    MethodNotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
)
from adaptery_inference.errors import BadRequestError

log = logging.getLogger(__name__)
_BY_STATUS: Mapping[int, type[AdapteryError]] = {
    404: NotFoundError,
    405: MethodNotAllowedError,
}


class LoopbackHandler(RequestHandler):
    """Checks the token and answers errors in one shape."""

    open_to_all: ClassVar[bool] = False
    #: What callers must send; set by `initialize` of each kind of handler.
    token: str

    def prepare(self) -> Awaitable[None] | None:
        """Refuse callers without the token, in constant time."""
        if not self.open_to_all and not self._has_token():
            raise NotAuthenticatedError("Send the engine's token as a bearer token.")
        return None

    def answer(self, body: object) -> None:
        """Send JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body))

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Answer any exception as an error of ours, in OpenAI's shape."""
        error = self.known_error(kwargs.get("exc_info"), status_code)
        self.set_status(error.status)
        if error.retry_after_seconds is not None:
            self.set_header("Retry-After", str(round(error.retry_after_seconds)))
        self.answer(error.to_openai())

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log bugs with their traceback; errors of ours are answers, not events."""
        if value is not None and not isinstance(value, AdapteryError | HTTPError):
            log.error("unhandled error on %s", self.request.path, exc_info=value)

    @staticmethod
    def known_error(exc_info: object, status: int) -> AdapteryError:
        """The error of ours behind an exception that ended a request."""
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        if isinstance(error, AdapteryError):
            return error
        if status in _BY_STATUS:
            return _BY_STATUS[status]()
        return BadRequestError() if status < InternalError.status else InternalError()

    def _has_token(self) -> bool:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self.token.encode())

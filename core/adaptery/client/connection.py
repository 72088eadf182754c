"""The HTTP connection to the service: requests, errors, pages and event streams.

What always holds:
- The token goes to the service's own address and nowhere else: redirects are not followed.
- An error answer raises the class that the service raised; an answer of a proxy or of the Hub in
  between becomes the nearest class, and its content is not shown.
- What is asked of a restricted adapter is sealed (`sealing`).
- Only what may come twice is repeated after a lost connection: reading, and what carries a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar, cast
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

import adaptery
from adaptery.client.event_streams import Event, read_events
from adaptery.client.sealing import SealingClient
from adaptery.client.stopping import Stop
from adaptery.errors import (
    AdapteryError,
    DeadlineError,
    InternalError,
    InvalidInputError,
    NotAuthenticatedError,
    UnavailableError,
    from_openai,
    from_problem,
)
from adaptery.schemas.common import Page

__all__ = ["ANSWER_SECONDS", "PAGE_ITEMS", "Connection", "checked", "path_of"]

M = TypeVar("M", bound=BaseModel)

CONNECT_SECONDS = 10.0
#: The service sends a comment in an event stream every 15 s; four missing ones mean the line is
#: dead.
READ_SECONDS = 60.0
#: A long answer that is not streamed.
ANSWER_SECONDS = 600.0
ERROR_LIMIT_BYTES = 1024 * 1024
PAGE_ITEMS = 100
#: The name of the event with which the service ends a stream that may not go on.
PROBLEM_EVENT = "problem"
ATTEMPTS = 3

Query = Mapping[str, str | int]


def path_of(*segments: str) -> str:
    """Return a path below the service, each segment percent-encoded."""
    return "/".join(quote(segment, safe="@") for segment in segments)


def _status_error(status: int) -> AdapteryError:
    error = from_problem({"status": status})
    error.hint = f"the answer (HTTP {status}) did not come from the service itself"
    return error


def _error_of(response: httpx.Response) -> AdapteryError:
    """Return the error that an answer describes; the body is read already."""
    if response.is_redirect:
        return NotAuthenticatedError(
            "The Hub sent us to its login page.",
            hint="check that the address ends in /services/adaptery/, and that the token is valid",
        )
    try:
        body: object = json.loads(response.content[:ERROR_LIMIT_BYTES])
    except ValueError:
        return _status_error(response.status_code)
    if not isinstance(body, dict):
        return _status_error(response.status_code)
    fields = cast("dict[str, object]", body)
    if isinstance(fields.get("error"), dict):
        error = from_openai(fields, response.status_code)
    elif "code" in fields:
        error = from_problem(fields)
    else:
        return _status_error(response.status_code)
    error.request_id = error.request_id or response.headers.get("x-request-id")
    after = response.headers.get("retry-after", "")
    if error.retry_after_seconds is None and after.isdigit():
        error.retry_after_seconds = float(after)
    return error


def _repeated(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send until an answer comes, a few times."""
    for _ in range(ATTEMPTS - 1):
        try:
            return send()
        except UnavailableError as exc:
            # A connection that the proxy closed while it was idle; the service itself says 503
            # with a code, which is not repeated here.
            if exc.__cause__ is None:
                raise
    return send()


def _unless_problem(events: Iterable[Event]) -> Iterator[Event]:
    """Yield events; the one that says why the service ends the stream is raised."""
    for event in events:
        if event.kind == PROBLEM_EVENT:
            raise from_problem(json.loads(event.data))
        yield event


@contextmanager
def _network_errors() -> Generator[None]:
    try:
        yield
    except httpx.TimeoutException as exc:
        raise DeadlineError("The service did not answer in time.") from exc
    except httpx.InvalidURL as exc:
        raise InvalidInputError("The address of the service is not valid.") from exc
    except httpx.TransportError as exc:
        raise UnavailableError(
            "The service cannot be reached.", hint="check ADAPTERY_URL and that the service runs"
        ) from exc


class Connection:
    """Requests to one service with one token."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/") + "/"
        self._headers = {
            "Authorization": f"Bearer {token}",
            "User-Agent": f"adaptery/{adaptery.__version__}",
        }
        self._transport = transport
        self._tls = httpx.create_ssl_context()  # slow to make, so it is shared
        self._client = self._open()

    def _open(self) -> httpx.Client:
        return SealingClient(
            base_url=self.url,
            headers=self._headers,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            verify=self._tls,
            transport=self._transport,
        )

    @contextmanager
    def _line(self, stop: Stop | None) -> Generator[httpx.Client]:
        """Give the client for one request; what can be stopped has a connection of its own."""
        if stop is None or self._transport is not None:
            yield self._client
            return
        with self._open() as client:
            yield client

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: Iterator[bytes] | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> httpx.Response:
        """Send a request and return its answer, read to the end.

        Raises:
            AdapteryError: what the service raised, or `UnavailableError` or `DeadlineError`.
        """
        with _network_errors():
            response = self._client.request(
                method,
                path,
                json=json,
                content=content,
                params=dict(query) if query else None,
                headers=headers,
                timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS),
            )
        if not response.is_success:
            raise _error_of(response)
        return response

    def get(self, path: str, schema: type[M], query: Query | None = None) -> M:
        """Return what the service answers to GET, as a checked model.

        Raises:
            AdapteryError: what the service raised, or `UnavailableError` or `DeadlineError`.
        """
        return checked(_repeated(lambda: self.send("GET", path, query=query)), schema)

    def post(
        self, path: str, schema: type[M], body: object = None, *, repeatable: bool = False
    ) -> M:
        """Return what the service answers to POST with a JSON body.

        Args:
            path: below the service's address.
            schema: of the answer.
            body: what is sent.
            repeatable: whether the service does what is sent twice only once.

        Raises:
            AdapteryError: what the service raised, or `UnavailableError` or `DeadlineError`.
        """

        def send() -> httpx.Response:
            return self.send("POST", path, json={} if body is None else body)

        return checked(_repeated(send) if repeatable else send(), schema)

    def pages(
        self, path: str, schema: type[M], key: Callable[[M], str], query: Query | None = None
    ) -> Iterator[M]:
        """Yield the items of a list, page by page; `key` gives what `after` names.

        Raises:
            AdapteryError: what the service raised, or `UnavailableError` or `DeadlineError`.
        """
        asked: dict[str, str | int] = {"limit": PAGE_ITEMS, **(query or {})}
        while True:
            page = self.get(path, Page[schema], asked)
            yield from page.items
            if not page.has_more or not page.items:
                return
            asked["after"] = key(page.items[-1])

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        read_seconds: float = READ_SECONDS,
        stop: Stop | None = None,
    ) -> Generator[httpx.Response]:
        """Open an answer that is read while it arrives; `stop` ends it from another thread.

        Raises:
            AdapteryError: what the service raised, or `UnavailableError` or `DeadlineError`, also
                while it is read.
        """
        with (
            _network_errors(),
            self._line(stop) as client,
            client.stream(
                method,
                path,
                json=json,
                headers=headers,
                timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS),
                extensions=None if stop is None else {"trace": stop.trace},
            ) as response,
        ):
            if not response.is_success:
                response.read()
                raise _error_of(response)
            yield response

    @contextmanager
    def events(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        last_id: str | None = None,
        read_seconds: float = READ_SECONDS,
        stop: Stop | None = None,
    ) -> Generator[Iterator[Event]]:
        """Open a stream of server-sent events.

        Raises:
            AdapteryError: as `stream`.
        """
        headers = {"Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        with self.stream(
            method, path, json=json, headers=headers, read_seconds=read_seconds, stop=stop
        ) as response:
            yield _unless_problem(read_events(response.iter_lines()))


def checked(response: httpx.Response, schema: type[M]) -> M:
    """Return an answer as a checked model.

    Raises:
        InternalError: if it is not what the schema says.
    """
    try:
        return schema.model_validate_json(response.content)
    except ValidationError:
        raise InternalError(
            "The service answered something that this client does not understand.",
            hint="client and service may be more than one minor version apart",
        ) from None

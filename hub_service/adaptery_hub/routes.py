"""The one route table: what is served, with which scope, body and answer.

The application, `api/openapi.json` and the reference page are all built from `ROUTES`; a handler
finds its own `Operation` here and checks the scope before it runs a line of the method. Each
handler module contributes a list named `ROUTES`.

It does not decide rights on things; `adaptery_hub.permissions` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

if TYPE_CHECKING:
    from adaptery_hub.handlers.base import Handler

#: What a token must hold. `open`: nothing, not even a token. `any`: a valid token, any scope.
#: `session`: a browser session (or token) of a user, redirected to the login if there is none.
#: `worker`: a secret of workers of ClearML, which no user has. Two words joined by "|" mean either.
Scope = Literal[
    "open",
    "any",
    "session",
    "read",
    "write",
    "infer",
    "admin",
    "worker",
    "read|infer",
    "admin|scrape",
]


@dataclass(frozen=True)
class Operation:
    """One method of one route."""

    scope: Scope
    summary: str
    request: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    #: Media type of an answer that is not `response` as JSON.
    media: str = "application/json"
    #: Other media types that it can have, as the request asks.
    or_media: tuple[str, ...] = ()
    #: Other statuses of an answer that is not an error.
    or_status: tuple[int, ...] = ()
    #: Query parameters: name -> what it means.
    query: Mapping[str, str] = field(default_factory=dict)
    #: Ask the Hub about the token again instead of believing the cache (deletes, publishes).
    fresh_identity: bool = False
    #: Whether own keys reach it; everything else is for tokens of the Hub.
    keys: bool = False
    #: Whether it is no request of its own in a key's minute: what it belongs to was counted.
    uncounted: bool = False
    #: What an own key must be made for, if that is not the scope.
    key_verb: str = ""
    #: The body is a stream of bytes that the handler takes chunk by chunk.
    streamed: bool = False
    #: Media type of such a body.
    body_media: str = "application/octet-stream"


@dataclass(frozen=True)
class Route:
    """One path and its methods.

    The template is relative to the service prefix. `{name}` matches one path segment (percent
    escapes are decoded after matching, so an escaped slash stays inside), `{name:path}` matches
    the rest, slashes included.
    """

    template: str
    handler: type[Handler]
    methods: Mapping[str, Operation]

    @property
    def pattern(self) -> str:
        """The template as a regular expression with named groups."""
        parts = re.split(r"(\{\w+(?::path)?\})", self.template)
        return "".join(map(_as_regex, parts)) + "$"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path parameters, in order."""
        return tuple(re.findall(r"\{(\w+)(?::path)?\}", self.template))


def _as_regex(part: str) -> str:
    match = re.fullmatch(r"\{(\w+)(:path)?\}", part)
    if match is None:
        return re.escape(part)
    return f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})"


#: Query parameters of every list.
PAGE_QUERY: Mapping[str, str] = {
    "after": "The id of the last item of the page before.",
    "limit": "How many items at most.",
}


def all_routes() -> list[Route]:
    """Return every route of the service, in matching order.

    Imported late: handler modules import this module for the classes above.
    """
    from adaptery_hub.handlers import ROUTE_MODULES

    return list(_concatenate(module.ROUTES for module in ROUTE_MODULES))


def _concatenate(lists: Iterable[Iterable[Route]]) -> Iterable[Route]:
    seen: set[str] = set()
    for routes in lists:
        for route in routes:
            assert route.template not in seen, f"route {route.template} is listed twice"
            seen.add(route.template)
            yield route

"""The verbs of the views, answered over the client's connection.

A view knows verbs, not routes. `adaptery/views/verbs.json` says what each means; the hosts in a
browser read the same table. Nothing that is not in it can be asked for.

Forms of an entry: `METHOD path` is one answer, `STREAM [METHOD] path` server-sent events. Names in
braces are taken from the arguments; the others become the query, or the body where there is one.
`UPLOAD path` and `DOWNLOAD path` are for hosts in a browser only: files do not travel through a
kernel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast
from urllib.parse import urlencode

from adaptery.client.connection import ANSWER_SECONDS, READ_SECONDS, Connection, path_of
from adaptery.client.stopping import Stop
from adaptery.errors import InvalidInputError, NotOfferedError, UnavailableError, from_openai

__all__ = ["Request", "Verbs", "request_of", "verb_table"]

_PARAMETER = re.compile(r"\{(\w+)\}")
_WITH_BODY = frozenset({"POST", "PATCH", "PUT"})


@cache
def verb_table() -> Mapping[str, str]:
    """Return the table of verbs as it lies beside the views."""
    text = (files("adaptery") / "views" / "verbs.json").read_text(encoding="utf-8")
    return cast("dict[str, str]", json.loads(text))


@dataclass(frozen=True)
class Request:
    """What a verb means over HTTP."""

    method: str
    #: Below the service's address, percent-encoded.
    path: str
    #: The arguments that are not in the path.
    rest: Mapping[str, object]
    streamed: bool

    @property
    def body(self) -> dict[str, object] | None:
        """The JSON body, where the method has one."""
        return dict(self.rest) if self.method in _WITH_BODY else None

    @property
    def query(self) -> dict[str, str | int]:
        """The query, where there is no body."""
        if self.method in _WITH_BODY:
            return {}
        return {name: _word(value) for name, value in self.rest.items() if value is not None}


class Verbs:
    """Answers what a view asks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def answer(
        self, verb: str, args: Mapping[str, object], stop: Stop | None = None
    ) -> Iterator[object]:
        """Yield the one answer of a verb, or each event of its stream, until `stop` ends it.

        Raises:
            NotOfferedError: there is no such verb, or a kernel cannot answer it.
            InvalidInputError: an argument that names a thing is missing.
            AdapteryError: what the service raised.
        """
        request = request_of(verb, args)
        if request.streamed:
            yield from self._events(request, stop)
        else:
            yield self._answer(request)

    def _answer(self, request: Request) -> object:
        response = self._connection.send(
            request.method, request.path, json=request.body, query=request.query
        )
        return response.json() if response.content else None

    def _events(self, request: Request, stop: Stop | None) -> Iterator[object]:
        asked = request.method == "POST"
        path, body = request.path, {**request.rest, "stream": True} if asked else None
        if request.query:
            path = f"{path}?{urlencode(request.query)}"
        seconds = ANSWER_SECONDS if asked else READ_SECONDS
        with self._connection.events(
            request.method, path, json=body, read_seconds=seconds, stop=stop
        ) as events:
            for event in events:
                if event.data == "[DONE]":
                    return
                value = json.loads(event.data)
                if asked and "error" in value:
                    raise from_openai(value)
                yield value
        if asked:
            raise UnavailableError("The answer was cut off.", hint="ask again")


def request_of(verb: str, args: Mapping[str, object]) -> Request:
    """Return what a verb means with these arguments.

    Raises:
        NotOfferedError: there is no such verb, or a kernel cannot answer it.
        InvalidInputError: an argument that names a thing is missing.
    """
    words = verb_table().get(verb, "").split()
    if not words or words[0] in ("UPLOAD", "DOWNLOAD"):
        raise NotOfferedError(f"This view's kernel does not answer {verb!r}.")
    template, streamed = words[-1], words[0] == "STREAM"
    method = (words[1] if len(words) > 2 else "GET") if streamed else words[0]
    rest = dict(args)
    segments = [_segment(part, rest) for part in template.split("/")]
    return Request(method, path_of(*segments), rest, streamed)


def _segment(part: str, rest: dict[str, object]) -> str:
    match = _PARAMETER.fullmatch(part)
    if match is None:
        return part
    value = rest.pop(match[1], None)
    if not isinstance(value, str) or value in ("", ".", ".."):
        raise InvalidInputError(f"The {match[1]} is missing.")
    return value


def _word(value: object) -> str | int:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, int) else str(value)

"""Tornado's application, in which requests that come together begin one by one.

The line is before the handler is made: of fifty requests that come in one moment, the first would
otherwise wait until all fifty have theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application

from adaptery.single_file import SingleFile


class WebApplication(Application):
    """Routes requests to their handlers, one by one."""

    def __init__(self, line: SingleFile, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._line = line

    def find_handler(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: HTTPServerRequest, **more: Any
    ) -> HTTPMessageDelegate:
        """Find what answers a request; it is made when the request's turn has come."""
        return _InLine(super().find_handler(request, **more), self._line)


class _InLine(HTTPMessageDelegate):
    """A request that waits for its turn."""

    def __init__(self, delegate: HTTPMessageDelegate, line: SingleFile) -> None:
        self._delegate = delegate
        self._line = line
        self._begun = False

    async def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        await self._line.go()
        self._begun = True
        prepared = self._delegate.headers_received(start_line, headers)
        if prepared is not None:
            await prepared

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._begun:
            self._delegate.on_connection_close()

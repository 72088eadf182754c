"""Ends a request from another thread, also while it waits for a service that says nothing.

What always holds:
- A socket is only shut down, which wakes whoever reads from it; the thread that reads closes it.
- Once that thread begins to close it the socket is forgotten, so that its number, which the system
  gives to the next one, is never shut down by mistake.

Source: httpcore, docs/extensions.md, "trace": the names of the events.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from httpcore import NetworkStream

__all__ = ["Stop"]

_OPENED = (".connect_tcp.complete", ".start_tls.complete")
#: TLS takes the socket over and makes a new one of it.
_CLOSING = (".start_tls.started", ".response_closed.started")


class Stop:
    """A way to end one request; `set` may be called by any thread, at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._set = False

    def is_set(self) -> bool:
        """Say whether the request was told to end."""
        return self._set

    def set(self) -> None:
        """End the request: whoever waits for its answer sees the connection end."""
        with self._lock:
            self._set = True
            self._shut()

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Follow a request of httpx, as its extension `trace`."""
        if event.endswith(_OPENED):
            stream = cast("NetworkStream", info["return_value"])
            self._hold(stream.get_extra_info("socket"))
        elif event.endswith(_CLOSING):
            self._hold(None)

    def _hold(self, opened: socket.socket | None) -> None:
        with self._lock:
            self._socket = opened
            if self._set:
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket, which also drops the state that the reader uses.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

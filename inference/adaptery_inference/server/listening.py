"""Listens on loopback until a signal: what the engine's and the embedder's server share.

The ready file appears once requests are answered and goes when they are not.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from adaptery.files import write_atomic
from adaptery_inference.config import ready_text

log = logging.getLogger(__name__)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def listen_until_stopped(
    server: HTTPServer,
    *,
    host: str,
    port: int,
    ready_file: Path | None,
    drain: Callable[[HTTPServer], Awaitable[None]],
    stopped: asyncio.Event | None = None,
) -> None:
    """Listen, say so, and drain after a signal.

    Args:
        server: what answers.
        host: loopback address.
        port: 0 takes a free one.
        ready_file: gets ``{port, pid}``.
        drain: ends the server, once it takes nothing new.
        stopped: set by signals; its own if None.
    """
    stopped = stopped or stop_on_signals()
    sockets = bind_sockets(port, host)
    server.add_sockets(sockets)
    taken = sockets[0].getsockname()[1]
    if ready_file is not None:
        write_atomic(ready_file, ready_text(taken, os.getpid()))
    log.info("serving port=%d", taken)
    await stopped.wait()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    await drain(server)

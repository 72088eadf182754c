"""Sweeps SeaweedFS's own files: what was removed is in them until they are written anew.

The server gives the bytes up some time after an object is gone, so it is swept twice; what a crash
or a store that was away left unswept, the next self-test's sweep takes.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path
from typing import Final

import httpx

from adaptery_hub import logs

logger = logging.getLogger(__name__)

#: When it is swept after something was removed, in seconds.
DELAYS: Final = (5.0, 60.0)
#: How much of a file has to be gone for it to be written anew: anything.
_THRESHOLD: Final = "0.0000001"
_TIMEOUT: Final = 600.0


class Sweeper:
    """Asks the master of the child process, with its certificate. Threads may share it."""

    def __init__(self, tls: Path, port: int) -> None:
        self._tls = tls
        self._url = f"https://127.0.0.1:{port}/vol/vacuum?garbageThreshold={_THRESHOLD}"
        self._waiting = False
        self._lock = threading.Lock()

    def soon(self) -> None:
        """Sweep in a while, in the background; once for all that is removed until then."""
        with self._lock:
            if self._waiting:
                return
            self._waiting = True
        for delay in DELAYS:
            timer = threading.Timer(delay, self._sweep)
            timer.daemon = True
            timer.start()

    def _sweep(self) -> None:
        with self._lock:
            self._waiting = False
        try:
            # Read anew: the server's certificate is another after each start.
            context = ssl.create_default_context(cafile=str(self._tls / "ca.pem"))
            context.load_cert_chain(self._tls / "node.pem", self._tls / "node.key")
            httpx.get(self._url, verify=context, timeout=_TIMEOUT).raise_for_status()
        except (OSError, httpx.HTTPError) as error:
            logs.log(logger, logging.WARNING, "store_not_swept", reason=type(error).__name__)

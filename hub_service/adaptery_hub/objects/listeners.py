"""Who listens on the ports of the store that the supervisor runs: it, or a stranger.

A port that another process took would be given what is published. So each request to the store
first asks the kernel whose sockets they are; the answer for the same sockets is remembered.

Linux only; elsewhere nothing is checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from adaptery.errors import UnavailableError

_PROC: Final = Path("/proc")
_LISTENS: Final = "0A"
#: 127.0.0.1, and what stands for every address, as the kernel writes them; IPv6 as well.
_LOCAL: Final = frozenset({
    "0100007F", "00000000", "0" * 32, "0000000000000000FFFF00000100007F"
})  # fmt: skip


class OwnPorts:
    """The ports of the child process. Threads may share it."""

    def __init__(self, config_dir: Path, ports: Sequence[int]) -> None:
        self._option = f"-config_dir={config_dir}".encode()
        self._ports = frozenset(ports)
        self._known: frozenset[str] = frozenset()

    def check(self, **_: Any) -> None:
        """Look who listens; botocore calls it before it sends.

        Raises:
            UnavailableError: another process has one of the ports.
        """
        found = dict(self._listening())
        if self._known.issuperset(found):
            return
        ours = frozenset(self._sockets())
        if taken := sorted({port for socket, port in found.items() if socket not in ours}):
            raise UnavailableError(
                f"The object store (seaweedfs) cannot run: port {taken[0]} is taken by another "
                "process.",
                hint="An administrator has to end that, or set seaweedfs_port to other ports.",
            )
        self._known = frozenset(found)

    def _listening(self) -> Iterator[tuple[str, int]]:
        """Yield socket and port of whatever listens where the store should."""
        for name in ("tcp", "tcp6"):
            with suppress(OSError):
                for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                    words = line.split()
                    address, _, port = words[1].partition(":")
                    if words[3] == _LISTENS and address in _LOCAL and int(port, 16) in self._ports:
                        yield f"socket:[{words[9]}]", int(port, 16)

    def _sockets(self) -> Iterator[str]:
        """Yield the sockets of every process that is our child by its command and account."""
        for process in _PROC.glob("[0-9]*"):
            with suppress(OSError):
                if process.stat().st_uid != os.geteuid():
                    continue
                if self._option not in (process / "cmdline").read_bytes().split(b"\0"):
                    continue
                for descriptor in (process / "fd").iterdir():
                    with suppress(OSError):
                        yield str(descriptor.readlink())

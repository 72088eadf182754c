"""How many records a file probably has, while it is read.

The kernel knows how far each open file is read, so the readers of all the formats need not be
asked. Where it is not Linux, or a reader jumps about (Parquet), nothing is said.
"""

from __future__ import annotations

from pathlib import Path

_OPEN = Path("/proc/self/fd")
_PLACES = Path("/proc/self/fdinfo")


def expected_total(done: int, path: Path) -> int:
    """Return how many records a file probably has of which some are read; 0: unknown."""
    read = max(map(_position, _descriptors_of(path.resolve())), default=0)
    return max(done, done * path.stat().st_size // read) if read else 0


def _descriptors_of(path: Path) -> list[str]:
    try:
        return [link.name for link in _OPEN.iterdir() if _target(link) == path]
    except OSError:  # not Linux
        return []


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:  # it was closed since
        return None


def _position(descriptor: str) -> int:
    try:
        text = (_PLACES / descriptor).read_text()
    except OSError:
        return 0
    return int(text.partition("pos:")[2].split()[0])  # Source: proc_pid_fdinfo(5)

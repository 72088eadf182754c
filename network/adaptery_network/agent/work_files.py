"""Opens what a worker wrote, which may be hostile and may still be writing.

The agent may read what the worker may not: its own keys, and the work folders of other tenants.
Not here: what a file means. Invariants:
- no link is followed in any part of a path, also when a name changes between two looks at it;
- only plain files of the work folder's owner are opened: no pipe that never answers, no device,
  nobody else's file under a second name.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path
from types import TracebackType

from adaptery.errors import IntegrityError
from adaptery.files import is_plain_relative

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Not to wait is for pipes; plain files do not heed it.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class OpenFolder:
    """A work folder, or one in it, held open: it stays the same whatever its name becomes."""

    def __init__(self, work: Path, inside: str | None = None) -> None:
        """Open it.

        Raises:
            FileNotFoundError: it is not there.
            IntegrityError: a link or a file is in its place, or the path leaves the work folder.
        """
        if inside is not None and not is_plain_relative(inside):
            raise IntegrityError("A path of a worker leaves its folder.")
        self._descriptor = _open(str(work), _FOLDER, None)
        try:
            self._owner = os.fstat(self._descriptor).st_uid
            for part in inside.split("/") if inside else ():
                above, self._descriptor = (
                    self._descriptor,
                    _open(part, _FOLDER, self._descriptor),
                )
                os.close(above)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> OpenFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let it go."""
        os.close(self._descriptor)

    def names(self) -> list[str]:
        """Return the names in it, in order."""
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - a Path knows no descriptor

    def open(self, name: str) -> BufferedReader:
        """Open a file that lies in it.

        Raises:
            FileNotFoundError: it is not there.
            IntegrityError: it is no plain file of the owner's, or cannot be read.
        """
        descriptor = _open(name, _FILE, self._descriptor)
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != self._owner:
            os.close(descriptor)
            raise IntegrityError("A worker left something else where a file of its own belongs.")
        return os.fdopen(descriptor, "rb")


def _open(name: str, flags: int, folder: int | None) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:  # a link: ELOOP or ENOTDIR; a socket: ENXIO
        raise IntegrityError("What a worker left cannot be opened as a file or folder.") from None

"""Where the bytes of one file come from: a path, or a member of an archive.

Formats that are read from front to back take `open`; those that must jump about (Parquet, Arrow)
take `local`, which unpacks a member beside nothing else and removes it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adaptery.formats.limits import SNIFF_BYTES

__all__ = ["Source", "source_of"]


@dataclass(frozen=True)
class Source:
    """One file to read."""

    #: What its suffix is taken from.
    name: str
    open: Callable[[], BinaryIO]
    #: Where it lies, if it is a file of its own.
    path: Path | None = None
    #: Stands before the number of a record in problems; empty for a file of its own.
    label: str = ""

    def head(self, size: int = SNIFF_BYTES) -> bytes:
        """Return how the file begins.

        Raises:
            OSError: if it cannot be read.
        """
        with self.open() as stream:
            return stream.read(size)

    @contextmanager
    def local(self) -> Generator[Path]:
        """Give a path to the file for as long as the context lasts.

        Raises:
            OSError: if it cannot be read, or unpacked.
        """
        if self.path is not None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="adaptery-") as folder:
            path = Path(folder) / "member"
            with self.open() as packed, path.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            yield path


def source_of(path: Path, filename: str | None = None) -> Source:
    """Return a file of its own as a source."""
    return Source(filename or path.name, lambda: path.open("rb"), path)

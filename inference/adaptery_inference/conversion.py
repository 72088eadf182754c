"""What conversions of all models share: each happens once; a folder appears whole or not at all.

Not here: what is in the folder.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from adaptery.errors import ConflictError, NotFoundError
from adaptery.files import rename_atomic

READABLE = 0o644  # transformers writes 0600; whoever reads may run as another user


class _Named(Protocol):
    @property
    def name(self) -> str: ...


M = TypeVar("M", bound=_Named)


def convert_once(
    out: Path, name: str, kind: str, read: Callable[[Path], M], fill: Callable[[Path], M]
) -> M:
    """Return what is in the folder, made now unless that was done before.

    Args:
        out: the folder.
        name: of the model.
        kind: what it is, in words.
        read: tells what a folder holds; raises `NotFoundError` if it is none of ours.
        fill: fills a folder that is not there yet.

    Raises:
        ConflictError: the folder holds something else.
        AdapteryError: what `fill` raises.
    """
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with _locked(out.with_name(f".{out.name}.converting")):
        return _held(out, name, kind, read) if out.exists() else _make(out, fill)


def _held(out: Path, name: str, kind: str, read: Callable[[Path], M]) -> M:
    try:
        info = read(out)
    except NotFoundError:
        info = None
    if info is None or info.name != name:
        raise ConflictError(
            f"The folder {out.name} exists and is not the {kind} {name!r}.",
            hint="give another --out, or remove the folder",
        )
    return info


def _make(out: Path, fill: Callable[[Path], M]) -> M:
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a conversion that was killed
    try:
        info = fill(temporary)
        rename_atomic(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return info


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for, and hold, the lock of one output folder. The file stays: removing it would race."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

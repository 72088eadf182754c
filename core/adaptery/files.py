"""Files that survive a crash, and paths that cannot leave their folder.

What always holds:
- `write_atomic` leaves either the old content or the whole new content, also when the power goes.
- `safe_join` never returns a path outside its root: no dot segments, no absolute path, no symbolic
  link out.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from adaptery.errors import InvalidInputError

__all__ = [
    "is_full",
    "is_plain_relative",
    "rename_atomic",
    "safe_join",
    "sync_folder",
    "write_atomic",
]

#: Bytes. The longest relative path that we accept from elsewhere.
PATH_LIMIT_BYTES = 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException | None) -> bool:
    """Tell whether an error says that a disk, or one's share of it, takes no more."""
    return isinstance(error, OSError) and error.errno in _FULL


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable: a rename is only on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the content of a file in one step.

    Args:
        path: the file; its folder must exist.
        data: the whole new content.
        mode: the permission bits, set before the name appears.

    Raises:
        OSError: if the file cannot be written; the old content then stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)  # the umask may have taken bits away
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _sync_tree(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            descriptor = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(folder))


def rename_atomic(source: Path, target: Path) -> None:
    """Give a finished file or folder its final name, durable with all it holds.

    Raises:
        OSError: if the target is a non-empty folder, or lies on another file system.
    """
    if source.is_dir():
        _sync_tree(source)
    else:
        descriptor = os.open(source, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def is_plain_relative(relative: str) -> bool:
    """Tell whether this is a relative path of ordinary names: no dot segments, all printable."""
    if (
        not relative
        or "\\" in relative
        or len(relative.encode("utf-8", "replace")) > PATH_LIMIT_BYTES
    ):
        return False
    parts = relative.split("/")
    return all(part not in ("", ".", "..") and part.isprintable() for part in parts)


def safe_join(root: Path, relative: str) -> Path:
    """Return the path of `relative` below `root`.

    Args:
        root: a folder of ours.
        relative: a path from elsewhere, with `/` between names.

    Raises:
        InvalidInputError: if the path would leave the root.
    """
    if not is_plain_relative(relative):
        raise InvalidInputError(
            "This is not a relative path inside its folder.", hint="use names joined by /"
        )
    path = root.joinpath(*relative.split("/"))
    if not path.resolve().is_relative_to(root.resolve()):
        raise InvalidInputError("This path leaves its folder through a link.")
    return path

"""Zip archives: the files in them, read without unpacking the archive to disk.

Everything that an archive says about itself is checked before a byte of it is unpacked: how many
files, how large, how much they shrank, and whether a name leads out of the archive. What it says
and does not keep (more bytes than announced, a checksum that is wrong) ends the reading.

Refused: links, absolute paths and `..`, encryption, archives inside archives, ZIP64, methods other
than deflate. Passed over: folders, hidden files, and what an operating system left.

Source: PKWARE, APPNOTE.TXT 4.3 (end of central directory) and 4.4 (fields); `zipfile` of Python.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from adaptery.errors import InvalidInputError, TooLargeError
from adaptery.formats.limits import (
    DIRECTORY_LIMIT_BYTES,
    MEMBERS_LIMIT,
    RATIO_LIMIT,
    UNPACKED_LIMIT_BYTES,
)
from adaptery.formats.sources import Source

__all__ = ["ARCHIVE_SUFFIXES", "check_member_name", "open_archive", "shown_name"]

ARCHIVE_SUFFIXES = frozenset({".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".7z", ".rar"})
_END = b"PK\x05\x06"
_END_BYTES = 22
_COMMENT_LIMIT_BYTES = 65_535
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
#: Unpacked bytes from which a ratio says anything: a few kilobytes of one letter harm nobody.
_RATIO_FROM_BYTES = 8 * 1024 * 1024
_NAME_SHOWN = 80  # characters
_NAME_LIMIT = 1_000  # characters, as in `adaptery.schemas.mappings`
_LEFT_BY_SYSTEMS = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


def shown_name(name: str) -> str:
    """Return the name of a member as an error may show it."""
    return name if len(name) <= _NAME_SHOWN and name.isprintable() else "(a name)"


def check_member_name(name: str) -> None:
    """Refuse a name that leads, or could lead, out of the archive or folder.

    Raises:
        InvalidInputError: with what is wrong about it.
    """
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ":" in name.split("/")[0] or ".." in parts:
        raise _refused(name, "leads out of the archive", "pack the files by relative paths")
    if len(name) > _NAME_LIMIT:
        raise _refused(name, "has a very long name", "rename it")
    if not name.isprintable():
        raise _refused(name, "has a name with control characters", "rename it")


def _refused(name: str, why: str, hint: str) -> InvalidInputError:
    return InvalidInputError(f"The file {shown_name(name)} in the archive {why}.", hint=hint)


def _damaged() -> InvalidInputError:
    return InvalidInputError(
        "The archive is damaged or cut off.", hint="pack it again, or upload the whole file"
    )


class _Member(io.RawIOBase):
    """A member's bytes; its own errors instead of those of zipfile and zlib."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - io calls it with one
        try:
            data = self._stream.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
            raise _damaged() from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextmanager
def open_archive(path: Path) -> Generator[list[Source]]:
    """Give the data files of an archive, in its order, for as long as the context lasts.

    Raises:
        InvalidInputError: if it is no archive, is damaged, or holds something that is refused.
        TooLargeError: if what it holds is over a limit.
        OSError: if it cannot be read.
    """
    _check_directory(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):
        raise _damaged() from None
    with archive:
        yield [_source(archive, member) for member in _checked(archive.infolist())]


def _source(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Source:
    def open_member() -> BinaryIO:
        try:
            stream = archive.open(member)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError):
            raise _damaged() from None
        return io.BufferedReader(_Member(cast("BinaryIO", stream)), 64 * 1024)

    return Source(member.filename, open_member, label=shown_name(member.filename))


def _check_directory(path: Path) -> None:
    """Look at the end of the archive before zipfile reads as much as it is told to."""
    with path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - _END_BYTES - _COMMENT_LIMIT_BYTES - _ZIP64_LOCATOR_BYTES))
        tail = stream.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise _damaged()
    if tail[max(0, end - _ZIP64_LOCATOR_BYTES) : end].startswith(_ZIP64_LOCATOR):
        raise InvalidInputError("The archive is ZIP64.", hint="pack fewer or smaller files")
    members = int.from_bytes(tail[end + 10 : end + 12], "little")
    directory = int.from_bytes(tail[end + 12 : end + 16], "little")
    if members > MEMBERS_LIMIT or directory > DIRECTORY_LIMIT_BYTES:
        raise _too_many()


def _too_many() -> TooLargeError:
    return TooLargeError(
        f"The archive holds more than {MEMBERS_LIMIT} files.", hint="pack them in several archives"
    )


def _checked(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    if len(members) > MEMBERS_LIMIT:
        raise _too_many()
    unpacked, names, found = 0, set[str](), list[zipfile.ZipInfo]()
    for member in members:
        _check_member(member)
        unpacked += member.file_size
        if unpacked > UNPACKED_LIMIT_BYTES:
            raise TooLargeError(
                f"The archive would unpack to more than {UNPACKED_LIMIT_BYTES // 1024**3} GiB.",
                hint="pack the files in several archives",
            )
        if member.filename in names:
            raise _refused(member.filename, "is there twice", "pack each file once")
        names.add(member.filename)
        if not member.is_dir() and not _is_passed_over(member.filename):
            found.append(member)
    return found


def _is_passed_over(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part in _LEFT_BY_SYSTEMS for part in parts)


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    if member.header_offset < 0:
        raise _damaged()
    check_member_name(member.orig_filename)
    check_member_name(name)
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(name, "is a link or a device", "pack the file itself")
    if member.flag_bits & 0x1:
        raise _refused(name, "is encrypted", "pack it without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(name, "is packed by a method that is not offered", "use deflate")
    if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES:
        raise _refused(name, "is an archive itself", "pack the files without it")
    if (
        member.file_size > _RATIO_FROM_BYTES
        and member.file_size > RATIO_LIMIT * member.compress_size
    ):
        raise TooLargeError(
            f"The file {shown_name(name)} in the archive unpacks to more than {RATIO_LIMIT} times"
            " its packed size.",
            hint="upload it unpacked",
        )

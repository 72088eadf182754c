"""Files that are encrypted at rest, in chunks that can be read from anywhere.

    magic "ADPTFIL1" (8) | salt (32) | chunk 0 | chunk 1 | ...
    chunk = ChaCha20-Poly1305(file key, nonce, 64 KiB of the file), 16 bytes longer
    file key = HKDF-SHA256(dataset key, salt, "adaptery-file-1")
    nonce = number of the chunk (11 bytes, big endian) | 1 if it is the last, else 0

Invariants:

- Every file has a key of its own (a fresh salt), so that no nonce occurs twice under a key, and
  equal files do not look equal.
- Chunks cannot be left out, moved, doubled or cut off at the end: each would need another nonce.
- An empty file is one empty last chunk; otherwise the last chunk holds at least one byte.
- Nothing in plain is written to a disk here.

Source: age, specification C2SP/age, "Payload" (the same construction; STREAM of Hoang,
Reyhanitabar, Rogaway and Vizár, "Online authenticated-encryption and its nonce-reuse
misuse-resistance", 2015).
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from adaptery.errors import IntegrityError
from adaptery.files import sync_folder
from adaptery.manifests import PlainFile

SCHEME: Final = "adaptery-file-1"
MAGIC: Final = b"ADPTFIL1"
SALT_BYTES: Final = 32
HEADER_BYTES: Final = len(MAGIC) + SALT_BYTES
CHUNK_BYTES: Final = 64 * 1024
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
_SEALED_BYTES: Final = CHUNK_BYTES + TAG_BYTES


def encrypt(source: BinaryIO, target: BinaryIO, key: bytes) -> PlainFile:
    """Write `source`, encrypted, to `target`; return what it was in plain."""
    salt = secrets.token_bytes(SALT_BYTES)
    cipher = _cipher(key, salt)
    target.write(MAGIC + salt)
    hasher, size, number = hashlib.sha256(), 0, 0
    chunk = source.read(CHUNK_BYTES)
    while True:
        following = source.read(CHUNK_BYTES)
        hasher.update(chunk)
        size += len(chunk)
        target.write(cipher.encrypt(_nonce(number, last=not following), chunk, None))
        if not following:
            return PlainFile(bytes=size, digest=f"sha256:{hasher.hexdigest()}")
        chunk, number = following, number + 1


def encrypt_file(path: Path, encrypted: Path, key: bytes) -> PlainFile:
    """Write a file, encrypted, to another name in its folder, or in its own place.

    A kill leaves what was there, or the whole new file.

    Raises:
        OSError: it cannot be written; nothing has changed then.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.sealing")
    try:
        with path.open("rb") as source, temporary.open("xb") as target:
            plain = encrypt(source, target, key)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(encrypted)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return plain


def plain_size(size: int) -> int:
    """Return how long a file of so many encrypted bytes is in plain.

    Raises:
        IntegrityError: no encrypted file is so long.
    """
    body = size - HEADER_BYTES
    whole, rest = divmod(body, _SEALED_BYTES)
    if body < TAG_BYTES or 0 < rest < TAG_BYTES or (rest == TAG_BYTES and whole):
        raise _broken()
    return whole * CHUNK_BYTES + (rest - TAG_BYTES if rest else 0)


def open_encrypted(stream: BinaryIO, key: bytes) -> BinaryIO:
    """Return what an encrypted file holds, as a stream that can be read from anywhere.

    Args:
        stream: the encrypted file; it is closed with what is returned.
        key: of the dataset.

    Raises:
        IntegrityError: this is no such file; also while reading, if a chunk is not what was
            written or the key is another.
    """
    try:
        return io.BufferedReader(_Decrypting(stream, key), CHUNK_BYTES)
    except BaseException:
        stream.close()
        raise


@dataclass(frozen=True)
class EncryptedFile:
    """An encrypted file with its key; it opens like a path, and other processes can be given it."""

    path: Path
    key: bytes = field(repr=False)

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Return what it holds, as `open_encrypted` does.

        Raises:
            OSError: it cannot be read.
            IntegrityError: it is not what was encrypted with this key.
        """
        return open_encrypted(self.path.open(mode), self.key)


@dataclass(frozen=True)
class KeptFile:
    """A file that lies in plain, and may be encrypted at any moment."""

    plain: Path
    sealed: EncryptedFile

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Return what it holds, wherever it lies now.

        Raises:
            OSError: it cannot be read.
            IntegrityError: it is not what was encrypted with this key.
        """
        try:
            return self.plain.open(mode)
        except FileNotFoundError:
            return self.sealed.open(mode)


#: A file that can be read here, encrypted or not.
Readable = Path | EncryptedFile | KeptFile


class _Decrypting(io.RawIOBase):
    def __init__(self, stream: BinaryIO, key: bytes) -> None:
        self._stream = stream
        header = stream.read(HEADER_BYTES)
        if len(header) != HEADER_BYTES or not header.startswith(MAGIC):
            raise _broken()
        self._cipher = _cipher(key, header[len(MAGIC) :])
        self._size = plain_size(stream.seek(0, os.SEEK_END))
        self._last = max(self._size - 1, 0) // CHUNK_BYTES
        self._position = 0
        self._number, self._chunk = 0, self._read_chunk(0)  # also tells a wrong key at once

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the start")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self._position >= self._size:
            return 0
        number, start = divmod(self._position, CHUNK_BYTES)
        if number != self._number:
            self._chunk, self._number = self._read_chunk(number), number
        piece = self._chunk[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _read_chunk(self, number: int) -> bytes:
        self._stream.seek(HEADER_BYTES + number * _SEALED_BYTES)
        sealed = self._stream.read(_SEALED_BYTES)
        try:
            return self._cipher.decrypt(_nonce(number, last=number == self._last), sealed, None)
        except InvalidTag:
            raise _broken() from None


def _cipher(key: bytes, salt: bytes) -> ChaCha20Poly1305:
    assert len(key) == KEY_BYTES, "keys are made by us"
    return ChaCha20Poly1305(HKDF(SHA256(), KEY_BYTES, salt, SCHEME.encode()).derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _broken() -> IntegrityError:
    return IntegrityError("An encrypted file is not what was written, or its key is another.")

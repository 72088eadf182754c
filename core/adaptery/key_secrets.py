"""The secrets of own keys: how they are spelt, checked for typos, and hashed.

    ak-<43 characters: 32 random bytes><6 characters: checksum>        base62, digits first

Not here: who a key belongs to and what it may do (the service), and where it is kept (the caller).

What always holds:
- `PATTERN` finds every secret in a text, so that scanners of repositories and logs can.
- `is_well_formed` needs no service: a secret that was cut, mistyped or glued to something is told
  from one that is dead. The checksum proves nothing else; anybody can make one.
- Only the hash is ever stored or compared. It is a plain SHA-256: a slow hash defends secrets that
  can be guessed, and 256 random bits cannot. So a request costs one look-up in a unique index,
  whose timing says nothing: nobody can choose a secret whose hash is near another's.

Source of the checksum: GitHub, "Behind GitHub's new authentication token formats" (2021): CRC-32 in
six base62 characters.
"""

from __future__ import annotations

import re
import secrets
import zlib
from collections.abc import Callable

from adaptery.digests import sha256_bytes

__all__ = ["PATTERN", "PREFIX", "hash_secret", "is_well_formed", "make_secret", "shown_start"]

PREFIX = "ak-"
#: What secret scanners look for.
PATTERN = r"\bak-[0-9A-Za-z]{49}\b"

RANDOM_BYTES = 32
SHOWN_CHARACTERS = 4  # 24 of 256 random bits: enough to tell keys apart, worthless to a guesser
_BODY_CHARACTERS = 43  # 62 ** 43 > 2 ** 256 > 62 ** 42
_CHECK_CHARACTERS = 6  # 62 ** 6 > 2 ** 32 > 62 ** 5
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET = re.compile(rf"ak-([0-9A-Za-z]{{{_BODY_CHARACTERS}}})([0-9A-Za-z]{{{_CHECK_CHARACTERS}}})")


def make_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return a new secret."""
    body = _base62(int.from_bytes(random_bytes(RANDOM_BYTES)), _BODY_CHARACTERS)
    return f"{PREFIX}{body}{_checksum(body)}"


def is_well_formed(text: str) -> bool:
    """Tell whether the text can be a secret at all; says nothing about whether it is in force."""
    match = _SECRET.fullmatch(text)
    return match is not None and _checksum(match[1]) == match[2]


def hash_secret(secret: str) -> str:
    """Return what is stored of a secret."""
    return sha256_bytes(secret.encode())


def shown_start(secret: str) -> str:
    """Return what is shown of a secret afterwards, to tell one key from another."""
    return f"{secret[: len(PREFIX) + SHOWN_CHARACTERS]}…"


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_CHARACTERS)


def _base62(number: int, characters: int) -> str:
    digits: list[str] = []
    for _ in range(characters):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

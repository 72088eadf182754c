"""The cipher suite of sealed messages, and the keys that receive them.

For: sealing bytes to a public key and opening them again. Not for: signing (`adaptery.signing`) or
deciding who may speak (`openers`, `grants`).

What always holds:
- Suite 1 is HPKE base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. The suite
  id is the first byte on the wire, so that a later suite is a new number and never a new meaning.
- A private key is never shown by `repr`, and leaves this module only through `to_bytes`.

Source: RFC 9180 (Hybrid Public Key Encryption), sections 5.1.1, 6.1 and 7.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from adaptery import base64url
from adaptery.errors import IntegrityError
from adaptery.sealed.documents import read_bytes

__all__ = ["MESSAGE_LIMIT_BYTES", "SUITE", "SealingKey", "read_sealing_public", "seal"]

SUITE = 1
ENC_BYTES = 32  # the encapsulated X25519 key in front of the ciphertext
TAG_BYTES = 16  # Poly1305
KEY_BYTES = 32
#: Bytes of one sealed message. The broker carries 1 MiB; the rest is room for its own headers.
MESSAGE_LIMIT_BYTES = 1024 * 1024 - 4096
_PREFIX = "x25519:"

_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealingKey:
    """A private X25519 key: what is sealed to its public half, only its holder opens."""

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private

    def __repr__(self) -> str:
        return f"SealingKey({self.public_text})"

    @classmethod
    def generate(cls) -> SealingKey:
        """Make a fresh key."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> SealingKey:
        """Read the 32 private bytes.

        Raises:
            IntegrityError: not 32 bytes.
        """
        if len(raw) != KEY_BYTES:
            raise IntegrityError("A sealing key has 32 bytes; this file has another length.")
        return cls(X25519PrivateKey.from_private_bytes(raw))

    def to_bytes(self) -> bytes:
        """Give the 32 private bytes, for a file with mode 0600 and nothing else."""
        return self._private.private_bytes_raw()

    @cached_property
    def public_text(self) -> str:
        """The public half as `x25519:<base64url>`."""
        return _PREFIX + base64url.encode(self._private.public_key().public_bytes_raw())

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Open `enc || ciphertext` that was sealed to this key under the same `info`.

        Raises:
            IntegrityError: wrong key, wrong `info`, or changed bytes; which of them is not told.
        """
        try:
            return _HPKE.decrypt(sealed, self._private, info)
        except (InvalidTag, ValueError):
            raise IntegrityError("A sealed message does not open.") from None


@lru_cache(maxsize=1_000)
def read_sealing_public(text: str) -> X25519PublicKey:
    """Read a public sealing key `x25519:<base64url>`.

    Raises:
        IntegrityError: another kind of key, or not a key.
    """
    if not text.startswith(_PREFIX):
        raise IntegrityError("A public sealing key starts with 'x25519:'.")
    raw = read_bytes(text.removeprefix(_PREFIX), KEY_BYTES)
    return X25519PublicKey.from_public_bytes(raw)


def seal(plaintext: bytes, public_text: str, info: bytes) -> bytes:
    """Seal bytes to a public key; the answer is `enc(32) || ciphertext`.

    Raises:
        IntegrityError: `public_text` is not a public sealing key.
    """
    try:
        return _HPKE.encrypt(plaintext, read_sealing_public(public_text), info)
    except ValueError:  # a low-order point, which no honest key is
        raise IntegrityError("The receiver's public sealing key is not usable.") from None

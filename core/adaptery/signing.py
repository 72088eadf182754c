"""Ed25519 keys with one text form, used for manifests, cards, grants and heartbeats.

A thin wrapper over `cryptography`; it chooses nothing but the encodings. Import it where it is
used, not at the top of modules that must work without the `sealed` extra.

What always holds:
- A public key is written `ed25519:<base64url>` and has exactly one such form.
- A signature that does not verify raises; nothing returns a bool that could be forgotten.
- A private key is never printed: `repr` shows the public half.

Source: RFC 8032 (Ed25519).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from adaptery import base64url, files
from adaptery.errors import IntegrityError, InvalidInputError, MissingExtraError

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ImportError as exc:
    raise MissingExtraError.for_extra("sealed", "Signing") from exc

__all__ = ["SEED_BYTES", "SIGNATURE_BYTES", "SigningKey", "VerifyKey"]

_PREFIX = "ed25519:"
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_SEED_MODE: Final = 0o600


@dataclass(frozen=True)
class VerifyKey:
    """The public half: checks signatures."""

    #: `ed25519:<base64url of the 32 bytes>`
    text: str
    _key: Ed25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_text(cls, text: str) -> VerifyKey:
        """Return the key that the text names.

        Raises:
            InvalidInputError: if the text is no Ed25519 public key.
        """
        try:
            if not text.startswith(_PREFIX):
                raise ValueError("no ed25519: prefix")
            raw = base64url.decode(text.removeprefix(_PREFIX))
            return cls(text, Ed25519PublicKey.from_public_bytes(raw))
        except ValueError as exc:
            raise InvalidInputError(
                "This is not an Ed25519 public key.", hint="expected ed25519:<base64url>"
            ) from exc

    @classmethod
    def from_bytes(cls, raw: bytes) -> VerifyKey:
        """Return the key with these 32 bytes.

        Raises:
            InvalidInputError: if the bytes are no Ed25519 public key.
        """
        return cls.from_text(_PREFIX + base64url.encode(raw))

    def to_bytes(self) -> bytes:
        """Return the 32 bytes of the key."""
        return self._key.public_bytes_raw()

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature over a message.

        Raises:
            IntegrityError: if the signature was not made by this key over exactly this message.
        """
        try:
            self._key.verify(signature, message)
        except InvalidSignature as exc:
            raise IntegrityError("The signature does not match.") from exc

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class SigningKey:
    """The private half: makes signatures."""

    _key: Ed25519PrivateKey = field(repr=False, compare=False)
    verify_key: VerifyKey

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new random key."""
        return cls._wrap(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Return the key that grows from 32 bytes of seed.

        Raises:
            InvalidInputError: if the seed is not 32 bytes long.
        """
        if len(seed) != SEED_BYTES:
            raise InvalidInputError(f"A signing seed has {SEED_BYTES} bytes.")
        return cls._wrap(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_seed_file(cls, path: Path) -> SigningKey:
        """Return the key whose seed (32 raw bytes) is in the file.

        Raises:
            InvalidInputError: if the file does not hold 32 bytes.
            OSError: if the file cannot be read.
        """
        return cls.from_seed(path.read_bytes())

    @classmethod
    def _wrap(cls, key: Ed25519PrivateKey) -> SigningKey:
        return cls(key, VerifyKey.from_bytes(key.public_key().public_bytes_raw()))

    @property
    def public_text(self) -> str:
        """The public half as `ed25519:<base64url>`."""
        return self.verify_key.text

    def seed(self) -> bytes:
        """Return the 32 secret bytes, to be kept in a file of mode 0600 and nowhere else."""
        return self._key.private_bytes_raw()

    def write_seed_file(self, path: Path) -> None:
        """Write the seed to a file that only its owner may read."""
        files.write_atomic(path, self.seed(), mode=_SEED_MODE)

    def sign(self, message: bytes) -> bytes:
        """Return the signature (64 bytes) over the message."""
        return self._key.sign(message)

"""Digests: SHA-256 with its name in front, and the tree hash that identifies a dataset version.

What always holds:
- A digest is written `sha256:<64 lower-case hex digits>`.
- `content_digest` depends on the record ids and their order and on nothing else; only a merged
  version adds its recipe. Formats, files and Parquet writers leave no trace in it.

Source: RFC 6962, section 2.1 (Merkle tree hash: leaves and nodes get different prefixes).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from io import BufferedReader
from pathlib import Path

from adaptery.canonical import canonical_json

__all__ = [
    "TreeHasher",
    "content_digest",
    "is_digest",
    "sha256_bytes",
    "sha256_file",
    "sha256_stream",
    "split_digest",
    "tree_hash",
]

_PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LEAF = b"\x00"
_NODE = b"\x01"


def sha256_bytes(data: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return _PREFIX + hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return `sha256:<hex>` of a file, read in pieces.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as stream:
        return sha256_stream(stream)


def sha256_stream(stream: BufferedReader) -> str:
    """Return `sha256:<hex>` of what a stream holds from here on, read in pieces."""
    return _PREFIX + hashlib.file_digest(stream, "sha256").hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether the text is a digest in our form."""
    return _DIGEST.fullmatch(text) is not None


class TreeHasher:
    """Computes the RFC 6962 tree hash of any number of leaves, in memory logarithmic in it."""

    def __init__(self) -> None:
        self._subtrees: list[
            tuple[int, bytes]
        ] = []  # (leaves, hash) of full subtrees, widest first
        self.count = 0

    def add(self, leaf: bytes) -> None:
        """Add the next leaf."""
        width, digest = 1, hashlib.sha256(_LEAF + leaf).digest()
        while self._subtrees and self._subtrees[-1][0] == width:
            _, left = self._subtrees.pop()
            width, digest = width * 2, hashlib.sha256(_NODE + left + digest).digest()
        self._subtrees.append((width, digest))
        self.count += 1

    def root(self) -> bytes:
        """Return the hash (32 bytes) of all leaves so far; more may be added afterwards."""
        if not self._subtrees:
            return hashlib.sha256(b"").digest()
        *rest, (_, digest) = self._subtrees
        for _, left in reversed(rest):
            digest = hashlib.sha256(_NODE + left + digest).digest()
        return digest


def tree_hash(leaves: Iterable[bytes]) -> bytes:
    """Return the RFC 6962 tree hash (32 bytes) of the leaves in their order."""
    hasher = TreeHasher()
    for leaf in leaves:
        hasher.add(leaf)
    return hasher.root()


def content_digest(record_ids: Iterable[str], recipe: Mapping[str, object] | None = None) -> str:
    """Return the content digest of a dataset version.

    Each leaf is the text of a record id (`sha256:<hex>`), so the algorithm is part of what is
    hashed.

    Args:
        record_ids: the ids in the order of the version.
        recipe: what a merged version was made by; None for every other version.

    Raises:
        CanonicalError: if the recipe has no canonical form.
    """
    root = _PREFIX + tree_hash(record_id.encode("ascii") for record_id in record_ids).hex()
    if recipe is None:
        return root
    return sha256_bytes(canonical_json({"records": root, "recipe": recipe}))


def split_digest(splits: Iterable[str | None]) -> str | None:
    """Return the digest of which record is in which split; None if none is in one.

    Args:
        splits: of each record in the order of the version; None: it is in no split.
    """
    hasher, some = hashlib.sha256(), False
    for split in splits:
        some = some or split is not None
        hasher.update(f"{split or ''}\n".encode("ascii"))
    return f"{_PREFIX}{hasher.hexdigest()}" if some else None

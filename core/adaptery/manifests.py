"""Signed manifests: which files a dataset version is made of, and what they hold.

For: writing it when a version is published, and checking it before anyone reads the version. The
manifest is what still holds if the object store itself lies. `SignedManifest` is what manifests of
other things share; that of an adapter is in `adaptery.adapter_manifests`.

What always holds:
- A manifest of one thing is none of another, though one key signs both: each kind refuses fields
  that it does not know and demands some that only it has.
- `manifest_digest` and the signature cover the same bytes: the canonical JSON without the
  signature.
- `verify_files` accepts a folder only if it holds exactly the files that are named (and
  `manifest.json`), each with its size and digest.
- A manifest is believed only under a key that the reader already trusts.
- Of a version that is encrypted at rest, `bytes` and `digest` are of the file as it lies in the
  store, so that it can be checked without the key; `plain` is what whoever may read it gets.
- A merged version names the files of the versions that it references; it holds no records itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

from pydantic import Field, StringConstraints

from adaptery import base64url
from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes, sha256_file
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.files import PATH_LIMIT_BYTES, safe_join
from adaptery.schemas.common import DigestText, Instant, JsonObject, Model, parse_json

if TYPE_CHECKING:  # needs cryptography, which the client does without
    from adaptery.signing import SigningKey, VerifyKey

__all__ = [
    "MANIFEST_NAME",
    "UNSPLIT",
    "WHOLE",
    "AtRest",
    "Manifest",
    "ManifestFile",
    "ManifestSource",
    "PlainFile",
    "Signature",
    "SignedManifest",
    "is_shard",
    "manifest_digest",
    "sign_manifest",
    "split_of",
    "splits_of",
    "verify_files",
    "verify_manifest",
    "verify_some_files",
]

#: Stands in names of files for records that are in no split.
WHOLE = "all"
#: What readers of a version call those records if others are in splits; `all` is no name to them.
UNSPLIT = "unsplit"
_SPLITS = ("train", "validation", "test", WHOLE)
_SHARD = re.compile(r"(?:data/(?P<split>all|train|validation|test)-|data-)[0-9]{5,}\.parquet")
#: The file beside the data in a work folder or object store.
MANIFEST_NAME = "manifest.json"
MANIFEST_LIMIT_BYTES = 16 * 1024 * 1024
FILES_LIMIT = 10_000


class PlainFile(Model):
    """A file before it was encrypted."""

    bytes: int = Field(ge=0)
    digest: DigestText


class ManifestFile(Model):
    """One file of a version, as it lies in the store."""

    path: Annotated[str, Field(min_length=1, max_length=PATH_LIMIT_BYTES)]
    bytes: int = Field(ge=0)
    digest: DigestText
    plain: PlainFile | None = None
    #: Of a file that someone uploaded: what they called it.
    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None

    @property
    def content(self) -> PlainFile:
        """The file as a reader gets it: decrypted, if it is encrypted at rest."""
        return self.plain or PlainFile(bytes=self.bytes, digest=self.digest)


class AtRest(Model):
    """How the files are encrypted; every one of them is, or none."""

    scheme: Literal["adaptery-file-1"] = "adaptery-file-1"
    key: Annotated[str, Field(min_length=1, max_length=64)]  # which key of the dataset; no secret


class ManifestSource(Model):
    """A version that a merged one references, with the files that hold its records."""

    dataset: str
    version: str
    content_digest: DigestText
    split_digest: DigestText | None = None
    manifest_digest: DigestText
    files: tuple[ManifestFile, ...] = Field(max_length=FILES_LIMIT)


class Signature(Model):
    """Who signed, and the signature."""

    key: Annotated[str, StringConstraints(pattern=r"^ed25519:[A-Za-z0-9_-]{43}$")]
    value: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{86}$")]


class SignedManifest(Model):
    """What every manifest has: the files of a thing, when it was made, and who says so."""

    files: tuple[ManifestFile, ...] = Field(min_length=1, max_length=FILES_LIMIT)
    created_at: Instant
    signature: Signature | None = None

    def to_bytes(self) -> bytes:
        """Return the content of `manifest.json`: canonical JSON, with the signature if any."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the manifest that a `manifest.json` holds; its signature is not checked yet.

        Raises:
            IntegrityError: if it is no manifest of this kind, or larger than the limit.
        """
        if len(data) > MANIFEST_LIMIT_BYTES:
            raise IntegrityError("The manifest is larger than the limit.")
        try:
            return parse_json(cls, data)
        except InvalidInputError as exc:
            raise IntegrityError("This is not a manifest.", errors=exc.errors) from None


_M = TypeVar("_M", bound=SignedManifest)


class Manifest(SignedManifest):
    """All that identifies a version."""

    #: 1: records in `data-*.parquet`, without positions. 2: in `data/<split>-*.parquet`.
    manifest_version: Literal[1, 2] = 1
    dataset: str
    version: str
    number: int = Field(ge=1)
    content_digest: DigestText
    records: int = Field(ge=0)
    #: Records by split, and which record is in which; absent if there are no splits.
    splits: dict[str, int] | None = None
    split_digest: DigestText | None = None
    #: What a merged version is made by; part of its content digest.
    recipe: JsonObject | None = None
    sources: tuple[ManifestSource, ...] | None = None
    at_rest: AtRest | None = None


def _signed_bytes(manifest: SignedManifest) -> bytes:
    # Absent fields are left out, so that a field more changes no manifest of before.
    return canonical_json(
        manifest.model_dump(mode="json", exclude={"signature"}, exclude_none=True)
    )


def manifest_digest(manifest: SignedManifest) -> str:
    """Return `sha256:<hex>` of the manifest without its signature."""
    return sha256_bytes(_signed_bytes(manifest))


def sign_manifest(manifest: _M, key: SigningKey) -> _M:
    """Return the manifest with a signature by the key."""
    value = base64url.encode(key.sign(_signed_bytes(manifest)))
    return manifest.model_copy(update={"signature": Signature(key=key.public_text, value=value)})


def verify_manifest(manifest: _M, trusted: VerifyKey) -> _M:
    """Return the manifest if the trusted key signed it.

    Raises:
        IntegrityError: if it is unsigned, signed by another key, or was changed.
    """
    if manifest.signature is None or manifest.signature.key != trusted.text:
        raise IntegrityError("The manifest is not signed by the key that is trusted here.")
    try:
        signature = base64url.decode(manifest.signature.value)
    except ValueError:
        raise IntegrityError("The signature of the manifest is not readable.") from None
    trusted.verify(signature, _signed_bytes(manifest))
    return manifest


def is_shard(path: str) -> bool:
    """Tell whether a path of a manifest is a file of records."""
    return _SHARD.fullmatch(path) is not None


def split_of(path: str) -> str:
    """Return the split whose records a file of records holds; `all` if the version has none."""
    match = _SHARD.fullmatch(path)
    assert match is not None, "only files of records have a split"
    return match["split"] or WHOLE


def splits_of(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return files of records by what readers such as `datasets.load_dataset` call their split.

    Without splits all are to learn from: `train`.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        found.setdefault(split_of(path), []).append(path)
    if found.keys() == {WHOLE}:
        return {"train": found[WHOLE]}
    return {
        UNSPLIT if split == WHOLE else split: found[split] for split in _SPLITS if split in found
    }


def verify_files(folder: Path, manifest: SignedManifest) -> None:
    """Check that a folder, as a reader gets it, holds exactly what the manifest names.

    Raises:
        IntegrityError: naming the first file that is missing, different or not named.
    """
    verify_some_files(folder, manifest, manifest.files)


def verify_some_files(
    folder: Path, manifest: SignedManifest, needed: Iterable[ManifestFile]
) -> None:
    """Check that a folder holds these files of a manifest; of the others, it may hold some.

    Raises:
        IntegrityError: naming the first file that is missing, different or not named.
    """
    named = {entry.path: entry for entry in manifest.files}
    if len(named) < len(manifest.files):
        raise IntegrityError("The manifest names a file twice.")
    checked = {entry.path for entry in needed}
    for path in sorted(checked):
        _verify_file(folder, named[path])
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        if path.is_dir() or relative == MANIFEST_NAME or relative in checked:
            continue
        if relative not in named:
            raise IntegrityError("The folder holds a file that the manifest does not name.")
        _verify_file(folder, named[relative])


def _verify_file(folder: Path, entry: ManifestFile) -> None:
    try:
        path = safe_join(folder, entry.path)
    except InvalidInputError:
        raise IntegrityError("The manifest names a path outside its folder.") from None
    if not path.is_file():
        raise IntegrityError(f"The file {entry.path} is missing.")
    content = entry.content
    if path.stat().st_size != content.bytes or sha256_file(path) != content.digest:
        raise IntegrityError(f"The file {entry.path} is not the one that was signed.")

"""The signed manifest of an adapter: what it is, what it was made from, and which files it has.

For: signing it when an adapter is registered, and checking a folder that was downloaded, with no
network. Not for agents: they load only weights whose digest a signed grant names.

What always holds:
- A folder that passes holds exactly the files that were signed (and `manifest.json`), is an adapter
  that is safe to load, and has the weights that the manifest names.
- No name of a dataset is in it, and no path: whoever may have the weights may read it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from adaptery.adapter_folders import inspect_adapter
from adaptery.errors import IntegrityError
from adaptery.manifests import (
    MANIFEST_LIMIT_BYTES,
    MANIFEST_NAME,
    SignedManifest,
    verify_files,
    verify_manifest,
)
from adaptery.schemas.common import DigestText
from adaptery.schemas.spec import BaseModelRef, InputSpec, JobId, StartSpec

if TYPE_CHECKING:  # needs cryptography, which the client does without
    from adaptery.signing import VerifyKey

__all__ = ["AdapterManifest", "read_adapter_manifest", "verify_adapter"]

AdapterId = Annotated[str, StringConstraints(pattern=r"^ad_[0-9a-z]{26}$")]


class AdapterManifest(SignedManifest):
    """All that identifies an adapter, or a checkpoint as an adapter."""

    adapter_manifest_version: Literal[1] = 1
    #: Absent of a checkpoint, which its job and step name.
    adapter: AdapterId | None = None
    #: As it was when the manifest was signed: `@demo/soap@2`, or `jb_…-step100`.
    name: Annotated[str, Field(min_length=1, max_length=400)]
    job: JobId
    step: int | None = Field(default=None, ge=1)
    base_model: BaseModelRef
    weight_digest: DigestText
    #: The versions that its job learnt from, and what merged ones were merged from.
    inputs: tuple[InputSpec, ...]
    #: Of all that is in it: its inputs, and what the adapters learnt from that its job took.
    content_digests: tuple[DigestText, ...]
    start_from: StartSpec | None = None
    #: Weights of the adapter that judged its answers, if one did.
    reward: DigestText | None = None


def read_adapter_manifest(folder: Path) -> AdapterManifest:
    """Return the manifest in an adapter folder; nothing is checked yet.

    Raises:
        IntegrityError: if there is none.
        OSError: if it cannot be read.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise IntegrityError(
            f"The folder has no {MANIFEST_NAME}.",
            hint="download the adapter again and unpack all of the archive",
        )
    with path.open("rb") as stream:
        return AdapterManifest.from_bytes(stream.read(MANIFEST_LIMIT_BYTES + 1))


def verify_adapter(folder: Path, trusted: VerifyKey) -> AdapterManifest:
    """Return what an adapter folder was signed as, after checking all of it; needs no network.

    Raises:
        IntegrityError: if the trusted key did not sign it, or a file is missing, different or not
            named.
        InvalidInputError: if it is no adapter that is safe to load.
        OSError: if it cannot be read.
    """
    manifest = verify_manifest(read_adapter_manifest(folder), trusted)
    verify_files(folder, manifest)
    if inspect_adapter(folder).weight_digest != manifest.weight_digest:
        raise IntegrityError("The weights are not those that the manifest names.")
    return manifest

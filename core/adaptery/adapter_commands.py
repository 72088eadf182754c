"""`adaptery adapters`: checks adapters that were downloaded; needs no service and no network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.terminal import say

if TYPE_CHECKING:
    from adaptery.adapter_manifests import AdapterManifest
    from adaptery.commands import Subparsers
    from adaptery.signing import VerifyKey

__all__ = ["register"]


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    adapters = subparsers.add_parser("adapters", help="check adapters that were downloaded")
    actions = adapters.add_subparsers(title="actions", required=True, metavar="ACTION")
    verify = actions.add_parser(
        "verify",
        help="check the folder of an adapter against its signed manifest, with no network",
        description="Checks that a folder holds exactly what the service signed, and says what "
        "that is. Needs adaptery[sealed].",
    )
    verify.add_argument("folder", type=Path, metavar="FOLDER", help="the archive, unpacked")
    verify.add_argument(
        "--key", metavar="ed25519:KEY", help="the key that must have signed the manifest"
    )
    verify.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from adaptery.adapter_manifests import verify_adapter

    folder, key = cast("Path", arguments.folder), cast("str | None", arguments.key)
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is not a folder.", hint="unpack the archive first")
    trusted = _signer(folder, key)
    _tell(verify_adapter(folder, trusted))
    say(f"Every file is as it was signed by {trusted.text}.")
    if key is None:
        say("That is the key that the manifest names: give the one that you know by --key.")
    return 0


def _signer(folder: Path, key: str | None) -> VerifyKey:
    """Return the key to check by: the one that was said, or the one that the manifest names."""
    from adaptery.adapter_manifests import read_adapter_manifest
    from adaptery.signing import VerifyKey

    if key is not None:
        return VerifyKey.from_text(key)
    signature = read_adapter_manifest(folder).signature
    if signature is None:
        raise IntegrityError("The manifest is not signed.")
    return VerifyKey.from_text(signature.key)


def _tell(manifest: AdapterManifest) -> None:
    say(f"{manifest.name}, made by job {manifest.job}")
    say(f"weights: {manifest.weight_digest}")
    say(f"base model: {manifest.base_model.name}, {manifest.base_model.weight_digest}")
    if manifest.start_from is not None:
        say(f"goes on from: {manifest.start_from.name}, {manifest.start_from.weight_digest}")
    for digest in manifest.content_digests:
        say(f"learnt from: {digest}")

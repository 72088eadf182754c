"""Manifests of adapters: a folder passes only whole, as it was signed, under the key one trusts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import adaptery
from adaptery.adapter_manifests import AdapterManifest, verify_adapter
from adaptery.commands import main
from adaptery.digests import sha256_file
from adaptery.errors import IntegrityError
from adaptery.manifests import MANIFEST_NAME, Manifest, ManifestFile, sign_manifest
from adaptery.signing import SigningKey
from adaptery.times import from_text
from support.agent_side.folders import make_adapter

KEY = SigningKey.from_seed(bytes(range(32)))
ULID = "0" * 26
CREATED_AT = from_text("2026-01-02T03:04:05.678901Z")
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
INPUT = {"version": f"dv_{ULID}", "content_digest": DIGEST, "sources": [OTHER]}
FILES = ("adapter_config.json", "adapter_model.safetensors", "card.json", "README.md")
#: What a forger would write in place of each field.
FORGED: dict[str, Any] = {
    "adapter_manifest_version": 2,
    "adapter": f"ad_{'1' * 26}",
    "name": "@demo/soap@3",
    "job": f"jb_{'1' * 26}",
    "step": 10,
    "base_model": {"name": "tests/tiny", "weight_digest": OTHER},
    "weight_digest": OTHER,
    "inputs": [INPUT | {"sources": [DIGEST]}],
    "content_digests": [DIGEST],
    "start_from": {"weight_digest": OTHER, "name": "@demo/other@1"},
    "reward": OTHER,
    "files": [{"path": "card.json", "bytes": 2, "digest": OTHER}],
    "created_at": "2026-01-02T03:04:06.000000Z",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as it is downloaded."""
    folder = tmp_path / "soap"
    digest = make_adapter(folder, 0.5)
    (folder / "card.json").write_text("{}")
    (folder / "README.md").write_text("# An adapter")
    sign(folder, digest)
    return folder


def _entry(path: Path) -> ManifestFile:
    return ManifestFile(path=path.name, bytes=path.stat().st_size, digest=sha256_file(path))


def sign(folder: Path, digest: str, key: SigningKey = KEY) -> None:
    manifest = AdapterManifest.model_validate(
        {
            "adapter": f"ad_{ULID}",
            "name": "@demo/soap@2",
            "job": f"jb_{ULID}",
            "base_model": {"name": "tests/tiny", "weight_digest": DIGEST},
            "weight_digest": digest,
            "inputs": [INPUT],
            "content_digests": [DIGEST, OTHER],
            "start_from": {"weight_digest": DIGEST, "name": "@demo/soap@1"},
            "reward": DIGEST,
            "files": [_entry(folder / name) for name in FILES],
            "created_at": CREATED_AT,
        }
    )
    (folder / MANIFEST_NAME).write_bytes(sign_manifest(manifest, key).to_bytes())


def test_a_folder_as_it_was_signed_passes_and_says_what_it_is(folder: Path) -> None:
    manifest = adaptery.verify_adapter(folder, KEY.verify_key)
    assert (manifest.name, manifest.job) == ("@demo/soap@2", f"jb_{ULID}")
    assert manifest.inputs[0].sources == (OTHER,)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["changed", "longer", "missing", "linked"])
def test_no_file_can_be_tampered_with(folder: Path, name: str, harm: str) -> None:
    path = folder / name
    data = path.read_bytes()
    if harm == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "longer":
        path.write_bytes(data + b" ")
    else:
        path.rename(folder.parent / name)
        if harm == "linked":
            path.symlink_to(folder.parent / name)
    with pytest.raises(IntegrityError, match="outside" if harm == "linked" else name):
        verify_adapter(folder, KEY.verify_key)


def test_each_field_is_forged_below() -> None:
    assert FORGED.keys() == AdapterManifest.model_fields.keys() - {"signature"}


@pytest.mark.parametrize("field", FORGED)
def test_no_field_can_be_changed_or_left_out(folder: Path, field: str) -> None:
    path = folder / MANIFEST_NAME
    said = json.loads(path.read_text())
    forged = [said | {field: FORGED[field]}]
    if field in said and field != "adapter_manifest_version":  # which means 1 if it is left out
        forged.append({name: value for name, value in said.items() if name != field})
    for claims in forged:
        path.write_text(json.dumps(claims))
        with pytest.raises(IntegrityError):
            verify_adapter(folder, KEY.verify_key)


def _without_signature(folder: Path) -> None:
    said = json.loads((folder / MANIFEST_NAME).read_text())
    del said["signature"]
    (folder / MANIFEST_NAME).write_text(json.dumps(said))


@pytest.mark.parametrize(
    "harm",
    [
        _without_signature,
        lambda folder: (folder / MANIFEST_NAME).unlink(),
        lambda folder: (folder / MANIFEST_NAME).write_bytes(b"[]"),
        lambda folder: (folder / "pytorch_model.bin").write_bytes(b"pickle"),
        lambda folder: sign(folder, OTHER),  # by the right key, and still not these weights
        lambda folder: sign(folder, DIGEST, SigningKey.generate()),
    ],
)
def test_what_nobody_trusted_signed_as_it_is_does_not_pass(
    folder: Path, harm: Callable[[Path], object]
) -> None:
    harm(folder)
    with pytest.raises(IntegrityError):
        verify_adapter(folder, KEY.verify_key)


def test_a_manifest_of_a_version_is_none_of_an_adapter_nor_the_other_way_round(
    folder: Path,
) -> None:
    raw = (folder / MANIFEST_NAME).read_bytes()
    with pytest.raises(IntegrityError, match="not a manifest"):
        Manifest.from_bytes(raw)
    version = Manifest(
        dataset="ds_1",
        version="dv_1",
        number=1,
        content_digest=DIGEST,
        records=1,
        files=AdapterManifest.from_bytes(raw).files,
        created_at=CREATED_AT,
    )
    with pytest.raises(IntegrityError, match="not a manifest"):
        AdapterManifest.from_bytes(sign_manifest(version, KEY).to_bytes())


def test_the_command_says_what_was_signed_and_by_whom(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify = ["adapters", "verify", str(folder)]
    assert main(verify) == 0
    shown = capsys.readouterr().out
    assert "@demo/soap@2" in shown and KEY.public_text in shown and "--key" in shown
    assert f"learnt from: {OTHER}" in shown and "goes on from: @demo/soap@1" in shown
    assert main([*verify, "--key", KEY.public_text]) == 0
    assert "--key" not in capsys.readouterr().out
    assert main([*verify, "--key", SigningKey.generate().public_text]) == 1
    _without_signature(folder)
    assert main(verify) == 1
    shutil.rmtree(folder)
    assert main(verify) == 1
    assert "unpack" in capsys.readouterr().err

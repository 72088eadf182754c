"""Keys, base64url and signed manifests."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery import base64url
from adaptery.digests import sha256_bytes
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.manifests import (
    Manifest,
    ManifestFile,
    manifest_digest,
    sign_manifest,
    verify_files,
    verify_manifest,
)
from adaptery.signing import SigningKey, VerifyKey
from adaptery.times import from_text

KEY = SigningKey.from_seed(bytes(range(32)))
DATA = b"records"


@given(st.binary(max_size=60))
def test_base64url_has_one_text_for_one_value(data):
    text = base64url.encode(data)
    assert base64url.decode(text) == data and "=" not in text


@pytest.mark.parametrize("text", ["A", "AA==", "AB", "+/+/", "AA AA", "ä", "AAA\n"])
def test_other_texts_are_not_base64url(text):
    with pytest.raises(ValueError, match="base64"):
        base64url.decode(text)


def test_a_signature_holds_for_its_key_and_message_only():
    signature = KEY.sign(b"message")
    VerifyKey.from_text(KEY.public_text).verify(signature, b"message")
    for key, message in ((KEY, b"massage"), (SigningKey.generate(), b"message")):
        with pytest.raises(IntegrityError):
            key.verify_key.verify(signature, message)


def test_a_key_survives_its_file_and_never_shows_its_seed(tmp_path):
    path = tmp_path / "seed"
    KEY.write_seed_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.from_seed_file(path).public_text == KEY.public_text
    shown = repr(KEY) + str(KEY.verify_key)
    assert KEY.seed().hex() not in shown and base64url.encode(KEY.seed()) not in shown


@pytest.mark.parametrize("text", ["", "ed25519:", "x25519:" + "A" * 43, "ed25519:" + "A" * 42])
def test_other_texts_are_no_keys(text):
    with pytest.raises(InvalidInputError):
        VerifyKey.from_text(text)
    with pytest.raises(InvalidInputError):
        SigningKey.from_seed(b"short")


def manifest(**changes):
    fields = {
        "dataset": "ds_1",
        "version": "dv_1",
        "number": 1,
        "content_digest": sha256_bytes(b"c"),
        "records": 3,
        "files": (
            ManifestFile(path="data-00000.parquet", bytes=len(DATA), digest=sha256_bytes(DATA)),
        ),
        "created_at": from_text("2026-01-02T03:04:05.678901Z"),
    }
    return Manifest(**(fields | changes))


def test_a_manifest_survives_its_file():
    signed = sign_manifest(manifest(), KEY)
    read = Manifest.from_bytes(signed.to_bytes())
    verify_manifest(read, KEY.verify_key)
    assert manifest_digest(read) == manifest_digest(signed) == manifest_digest(manifest())


@pytest.mark.parametrize(
    "changes", [{"number": 2}, {"records": 4}, {"content_digest": sha256_bytes(b"d")}]
)
def test_a_changed_manifest_is_refused(changes):
    signed = sign_manifest(manifest(), KEY)
    assert manifest_digest(manifest(**changes)) != manifest_digest(signed)
    with pytest.raises(IntegrityError):
        verify_manifest(signed.model_copy(update=changes), KEY.verify_key)


def test_a_manifest_of_another_signer_or_of_none_is_refused():
    other = sign_manifest(manifest(), SigningKey.generate())
    for untrusted in (other, manifest()):
        with pytest.raises(IntegrityError, match="trusted"):
            verify_manifest(untrusted, KEY.verify_key)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"manifest_version": 2}'])
def test_other_bytes_are_no_manifest(data):
    with pytest.raises(IntegrityError):
        Manifest.from_bytes(data)


@pytest.fixture
def version_folder(tmp_path):
    (tmp_path / "data-00000.parquet").write_bytes(DATA)
    (tmp_path / "manifest.json").write_bytes(manifest().to_bytes())
    return tmp_path


def test_a_folder_that_holds_what_is_named_passes(version_folder):
    verify_files(version_folder, manifest())


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "data-00000.parquet").write_bytes(b"Records"),
        lambda folder: (folder / "data-00000.parquet").write_bytes(DATA + b"x"),
        lambda folder: (folder / "data-00000.parquet").unlink(),
        lambda folder: (folder / "data-00001.parquet").write_bytes(b""),
    ],
)
def test_a_folder_that_holds_something_else_is_refused(version_folder, harm):
    harm(version_folder)
    with pytest.raises(IntegrityError):
        verify_files(version_folder, manifest())


def test_a_manifest_cannot_name_paths_outside_its_folder(version_folder):
    entry = ManifestFile(path="../x", bytes=0, digest=sha256_bytes(b""))
    with pytest.raises(IntegrityError, match="outside"):
        verify_files(version_folder, manifest(files=(entry,)))

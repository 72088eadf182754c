"""What the object store needs to be told, and what is refused before a Hub waits for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adaptery_hub.__main__ import children
from adaptery_hub.database import Database
from adaptery_hub.misconfiguration import check_options, check_store
from adaptery_hub.objects import FilesystemStore, seaweedfs
from adaptery_hub.objects.choosing import build_store
from adaptery_hub.objects.credentials import (
    ROLES,
    Credential,
    Role,
    StoreConfigurationError,
    read_credentials,
    write_credentials,
)
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.settings import ServiceSettings

HELD: dict[Role, Credential] = {
    role: Credential(f"KEY{role}", f"secret-of-{role}") for role in ROLES
}


def written(path: Path, content: bytes = write_credentials(HELD), mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_credentials_come_from_a_file_that_is_ours_alone(tmp_path: Path) -> None:
    assert read_credentials(written(tmp_path / "s3.ini")) == HELD
    assert "secret-of" not in repr(HELD)
    for path, said in (
        (written(tmp_path / "open.ini", mode=0o640), "Others may read"),
        (written(tmp_path / "half.ini", b"[publisher]\naws_access_key_id = a\n"), "no credential"),
        (written(tmp_path / "no.ini", b"what?"), "cannot be understood"),
        (written(tmp_path / "binary.ini", b"\xff\xfe"), "is not text"),
        (tmp_path / "nothing.ini", "cannot be read"),
    ):
        with pytest.raises(StoreConfigurationError, match=said) as caught:
            read_credentials(path)
        assert "secret" not in str(caught.value)


def test_credentials_come_from_the_environment(tmp_path: Path) -> None:
    environment = {
        f"ADAPTERY_S3_{role.upper()}_{part}": value
        for role, held in HELD.items()
        for part, value in (("KEY_ID", held.key_id), ("SECRET", held.secret))
    }
    assert read_credentials(None, environment) == HELD
    del environment["ADAPTERY_S3_READER_SECRET"]
    with pytest.raises(StoreConfigurationError, match="reader"):
        read_credentials(None, environment)


def test_the_store_is_the_one_that_is_set(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    state = str(tmp_path / "state")
    (tmp_path / "state").mkdir()
    assert isinstance(build_store(ServiceSettings(state_dir=state), database), FilesystemStore)
    s3 = {
        "state_dir": state,
        "object_store": "s3",
        "s3_bucket": "bucket",
        "s3_credentials_file": str(written(tmp_path / "s3.ini")),
        "object_lock": "none",
    }
    store = build_store(ServiceSettings(**s3), database)
    assert isinstance(store, S3Store)
    assert (store.clients.config.bucket, store.clients.config.lock) == ("bucket", None)
    with pytest.raises(StoreConfigurationError):
        build_store(ServiceSettings(**{**s3, "s3_bucket": ""}), database)
    database.close()


def test_what_cannot_work_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"state_dir": str(tmp_path / "state")}
    check_store(state)
    monkeypatch.setenv("PATH", "")
    for options, said in (
        ({"key_store": str(tmp_path / "state" / "keys")}, "same backup"),
        ({"object_store": "s3"}, "s3_bucket"),
        ({"object_store": "s3", "s3_bucket": "Bad Name"}, "s3_bucket cannot"),
        ({"object_store": "s3", "s3_bucket": "bkt", "s3_endpoint_url": "host:9000"}, "s3_endpoint"),
        ({"object_store": "s3", "s3_bucket": "bkt", "s3_credentials_file": "/nothing"}, "read"),
    ):
        with pytest.raises(ValueError, match=said):
            check_store({**state, **options})


def test_a_wrong_policy_is_told_what_may_stand_there() -> None:
    check_options({"publish_policy": {"open": ["pii"]}})
    with pytest.raises(ValueError, match="'bogus' of 'open' is no review queue; they are exact"):
        check_options({"publish_policy": {"open": ["bogus"]}})
    with pytest.raises(ValueError, match="'secret' is no sensitivity; they are open"):
        check_options({"publish_policy": {"secret": ["pii"]}})


def test_the_supervisor_runs_the_store_before_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "weed"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(seaweedfs, "seaweedfs_binary", lambda: program)
    settings = {"state_dir": str(tmp_path / "state"), "object_store": "seaweedfs"}
    config = tmp_path / "service.json"
    config.write_text(json.dumps({"ServiceSettings": settings}))
    store, service = children(config, None, None)
    assert (store.name, service.name, store.calls_hub) == ("store", "service", False)
    assert store.environment["GOMEMLIMIT"] == "256MiB"
    held = read_credentials(seaweedfs.credentials_path(tmp_path / "state"))
    assert not any(credential.secret in " ".join(store.command) for credential in held.values())
    (again, _) = children(config, None, None)
    assert again.command == store.command
    assert read_credentials(seaweedfs.credentials_path(tmp_path / "state")) == held

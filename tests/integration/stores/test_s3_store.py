"""An object store behind S3: whole folders or nothing, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adaptery.errors import ConflictError, NotFoundError, UnavailableError
from adaptery.times import now
from adaptery_hub.metrics import Metrics
from adaptery_hub.objects import s3
from adaptery_hub.objects.credentials import ROLES, StoreConfigurationError
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.s3_clients import S3Clients
from adaptery_hub.store_desk import StoreDesk
from support.broker import free_port
from support.stores import moto_config, moto_credentials, store_of

FILES = {"data/all-00000.parquet": b"records", "report.json": b"{}", "manifest.json": b"signed"}
PREFIX = "datasets/ds_1/abc"


class DyingStore(S3Store):
    """Dies when it has put some files."""

    left = 1

    def _put(self, key: str, path: Path, until: datetime | None) -> str | None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super()._put(key, path, until)

    def remove_folder(self, prefix: str) -> None:
        """A process that died removes nothing."""


def folder_of(path: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def objects_in(store: S3Store, prefix: str = "datasets") -> list[str]:
    return sorted(found.key for found in store.bucket.versions(prefix))


def test_a_folder_is_put_read_and_removed(store: S3Store, tmp_path: Path) -> None:
    store.put_folder(PREFIX, folder_of(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    listed = {info.path: info.bytes for info in store.list("datasets/ds_1")}
    assert listed == {f"abc/{name}": len(content) for name, content in FILES.items()}
    for name, content in FILES.items():
        assert store.read(f"{PREFIX}/{name}") == content
    with store.open(f"{PREFIX}/report.json") as stream:
        assert stream.read() == b"{}"
    with store.folder(PREFIX) as folder:
        inside = {path for path in folder.rglob("*") if path.is_file()}
        assert {path.relative_to(folder).as_posix() for path in inside} == set(FILES)
    assert not folder.exists()
    with pytest.raises(ConflictError):
        store.put_folder(PREFIX, folder_of(tmp_path / "again"))
    for key in (f"{PREFIX}/nothing", "datasets/ds_2/abc/report.json", PREFIX):
        with pytest.raises(NotFoundError):
            store.read(key)
    store.remove_folder("datasets/ds_1")
    assert (store.list("datasets"), objects_in(store), store.kept("datasets")) == ([], [], [])
    with pytest.raises(NotFoundError):
        store.local_path(f"{PREFIX}/report.json")


def test_large_files_travel_in_parts(
    store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 * 1024 * 1024)  # S3's smallest
    large = bytes(range(256)) * (12 * 1024 * 4)
    store.put_folder(PREFIX, folder_of(tmp_path / "new", {"large": large}))
    assert store.read(f"{PREFIX}/large") == large


def test_a_folder_that_was_half_put_is_not_there_and_is_cleaned_up(
    clients: S3Clients, tmp_path: Path
) -> None:
    with store_of(clients, tmp_path / "store") as store:
        store.__class__ = DyingStore
        with pytest.raises(KeyboardInterrupt):
            store.put_folder(PREFIX, folder_of(tmp_path / "new"))
        assert (store.list("datasets"), len(objects_in(store))) == ([], 1)
        store.__class__ = S3Store
        store.recover()
        assert objects_in(store) == []
        store.put_folder(PREFIX, folder_of(tmp_path / "new"))
        assert len(store.list(PREFIX)) == 3


def test_what_is_put_under_the_same_key_later_is_not_what_is_read(
    store: S3Store, clients: S3Clients, tmp_path: Path
) -> None:
    store.put_folder(PREFIX, folder_of(tmp_path / "new"))
    intruder = {"Bucket": clients.config.bucket, "Key": f"{PREFIX}/report.json"}
    clients.of("publisher").put_object(**intruder, Body=b"[]")
    clients.of("admin").delete_object(**intruder)
    assert store.read(f"{PREFIX}/report.json") == b"{}"
    store.remove_folder(PREFIX)
    assert objects_in(store) == []


def test_a_locked_leftover_is_kept_told_and_removed_when_its_time_is_over(
    moto: str, tmp_path: Path
) -> None:
    moment = now()
    config = replace(moto_config(moto, "locked"), lock="compliance", lock_days=1)
    with store_of(S3Clients(config, moto_credentials()), tmp_path / "store") as store:
        store._clock = lambda: moment
        store.put_folder(PREFIX, folder_of(tmp_path / "new"))
        store.remove_folder(PREFIX)
        assert store.list(PREFIX) == []
        if not (kept := store.kept("datasets/ds_1")):
            pytest.skip("this moto lets an admin remove what is locked")
        assert {found.until and found.until.date() for found in kept} == {
            (moment + timedelta(days=1)).date()
        }
        # The same content can be published again: a new version of each object.
        store.put_folder(PREFIX, folder_of(tmp_path / "new", {**FILES, "report.json": b"[]"}))
        assert store.read(f"{PREFIX}/report.json") == b"[]"


def test_a_store_that_does_not_answer_is_named_with_what_to_do(tmp_path: Path) -> None:
    config = replace(moto_config(f"http://127.0.0.1:{free_port()}", "bucket"), manage_bucket=False)
    with store_of(S3Clients(config, moto_credentials()), tmp_path / "store") as store:
        with pytest.raises(UnavailableError) as caught:
            store.put_folder(PREFIX, folder_of(tmp_path / "new"))
        assert "object store (s3)" in caught.value.message and caught.value.hint
        assert store.list(PREFIX) == []
        metrics = Metrics()
        desk = StoreDesk(store, metrics)
        with pytest.raises(UnavailableError):
            desk.check_now()
        assert b"adaptery_store_answered 0.0" in metrics.render()
        assert (desk.level, desk.describe().checked_at) == ("integrity checked", None)


def test_a_bucket_that_is_not_there_is_named(clients: S3Clients, tmp_path: Path) -> None:
    clients.config = replace(clients.config, bucket="nothing", manage_bucket=False)
    with store_of(clients, tmp_path / "store") as store, pytest.raises(StoreConfigurationError):
        store.put_folder(PREFIX, folder_of(tmp_path / "new"))


def test_the_self_test_unmasks_a_store_that_enforces_nothing(store: S3Store) -> None:
    metrics = Metrics()
    desk = StoreDesk(store, metrics)
    desk.check_now()
    told = metrics.render()
    assert b"adaptery_store_answered 1.0" in told and b"adaptery_store_enforced 0.0" in told
    assert b"adaptery_store_tested_timestamp_seconds 0.0" not in told
    shown = desk.describe()
    assert (shown.level, shown.short_lived_access) == ("integrity checked", False)
    passed = {check.name for check in shown.checks if check.needed and not check.held}
    assert {
        "reader: put",
        "reader: overwrite",
        "reader: change policy",
        "forged address",
        "address after its time",
    } <= passed
    assert objects_in(store) == []


def test_one_credential_for_everything_is_seen(clients: S3Clients) -> None:
    assert clients.separate
    same = dict.fromkeys(ROLES, moto_credentials()["admin"])
    assert not S3Clients(clients.config, same).separate

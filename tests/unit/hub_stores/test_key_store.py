"""The key store: keys are made once, readable by nobody else, and gone when they are destroyed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from adaptery.ids import new_id
from adaptery_hub.key_store import DataKey, KeyGoneError, KeyStore, KeyStoreError


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    dataset = new_id("ds")
    made = KeyStore(tmp_path / "keys").key(dataset)
    again = KeyStore(tmp_path / "keys")
    assert again.key(dataset) == made
    assert again.find(dataset, made.id) == made
    assert again.key(new_id("ds")).secret != made.secret


def test_all_who_ask_at_once_get_the_one_key_that_stays(tmp_path: Path) -> None:
    for _ in range(5):
        dataset, together = new_id("ds"), Barrier(8)

        def ask(dataset: str = dataset, together: Barrier = together) -> DataKey:
            store = KeyStore(tmp_path / "keys")  # as another process has it
            together.wait()
            return store.key(dataset)

        with ThreadPoolExecutor(8) as threads:
            answers = [asked.result() for asked in [threads.submit(ask) for _ in range(8)]]
        assert {key.id for key in answers} == {KeyStore(tmp_path / "keys").key(dataset).id}


def test_only_its_owner_reads_it_and_nothing_shows_it(tmp_path: Path) -> None:
    dataset = new_id("ds")
    key = KeyStore(tmp_path / "keys").key(dataset)
    (file,) = (tmp_path / "keys").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert repr(key.secret) not in repr(key)


def test_what_is_destroyed_is_gone_and_its_id_never_comes_back(tmp_path: Path) -> None:
    store, dataset = KeyStore(tmp_path / "keys"), new_id("ds")
    key = store.key(dataset)
    assert store.destroy(dataset)
    assert not store.destroy(dataset)
    assert list((tmp_path / "keys").iterdir()) == []
    with pytest.raises(KeyGoneError):
        store.find(dataset, key.id)
    assert store.key(dataset).id != key.id
    with pytest.raises(KeyGoneError):
        store.find(dataset, key.id)


def test_a_key_that_was_half_destroyed_is_gone(tmp_path: Path) -> None:
    store, dataset = KeyStore(tmp_path / "keys"), new_id("ds")
    key = store.key(dataset)
    (file,) = (tmp_path / "keys").iterdir()
    file.write_bytes(b"\x93" * 60)
    with pytest.raises(KeyGoneError):
        store.find(dataset, key.id)
    assert store.destroy(dataset)


def test_a_key_store_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyStoreError) as caught:
        KeyStore(tmp_path / "file" / "keys").key(new_id("ds"))
    assert "key_store" in (caught.value.hint or "")

"""Addresses and settings of ClearML: what cannot work is refused before anybody is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adaptery.errors import ConflictError
from adaptery_hub.clearml.addresses import links_of, s3_base
from adaptery_hub.clearml.choosing import check_clearml, sdk_configuration
from adaptery_hub.clearml.credentials import ClearmlConfigurationError, ClearmlKey, read_key
from adaptery_hub.misconfiguration import check_links
from adaptery_hub.objects import FilesystemStore
from adaptery_hub.objects.s3_clients import S3Clients, S3Config
from adaptery_hub.settings import ServiceSettings
from support.stores import moto_credentials

CONFIG = S3Config("s3", "adaptery", "https://s3.example.edu")
ADDRESSES = {
    "clearml_api_url": "https://api.clearml.example.edu",
    "clearml_files_url": "https://files.clearml.example.edu:8081/",
}


def _key_file(folder: Path, text: str = "[clearml]\naccess_key = A\nsecret_key = S\n") -> Path:
    path = folder / "clearml.ini"
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        (None, "s3://adaptery"),
        ("https://s3.example.edu", "s3://s3.example.edu:443/adaptery"),
        ("http://127.0.0.1:10110/", "s3://127.0.0.1:10110/adaptery"),
        ("http://[::1]:9000", "s3://[::1]:9000/adaptery"),
    ],
)
def test_buckets_are_named_as_clearml_names_them(endpoint: str | None, base: str) -> None:
    assert s3_base(replace(CONFIG, endpoint_url=endpoint)) == base


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": "Not A Bucket"},
        {"bucket": "a/../b"},
        {"endpoint_url": "https://user:secret@s3.example.edu"},
        {"endpoint_url": "https://s3.example.edu/path"},
        {"endpoint_url": "file:///etc"},
        {"endpoint_url": "https://"},
    ],
)
def test_what_is_no_address_is_told_before_the_sdk_is_asked(change: dict[str, str]) -> None:
    with pytest.raises(ConflictError) as caught:
        s3_base(replace(CONFIG, **change))
    assert caught.value.hint and "secret" not in caught.value.message


def test_what_was_left_out_of_a_version_gets_no_link(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "objects")
    folder = tmp_path / "new"
    for name in ("data/records-00001.parquet", "manifest.json", "originals/visits.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    store.put_folder("datasets/ds_1/abc", folder)
    links = links_of(store, "datasets/ds_1/abc", "dv_1")
    base = f"file://{tmp_path}/objects/datasets/ds_1/abc"
    assert [(one.url, one.path, one.bytes) for one in links] == [
        (f"{base}/data/records-00001.parquet", "dv_1/data/records-00001.parquet", 26),
        (f"{base}/manifest.json", "dv_1/manifest.json", 13),
    ]
    with pytest.raises(ConflictError, match="no files"):
        links_of(store, "datasets/ds_1/other", "dv_2")


def test_keys_come_from_a_private_file_or_the_environment(tmp_path: Path) -> None:
    path = _key_file(tmp_path)
    assert read_key(path) == ClearmlKey("A", "S")
    named = {"ADAPTERY_CLEARML_ACCESS_KEY": "A", "ADAPTERY_CLEARML_SECRET_KEY": "S"}
    assert read_key(None, named) == ClearmlKey("A", "S")
    assert "S" not in repr(read_key(path)).replace("ClearmlKey", "")
    path.chmod(0o640)
    for broken, where in ((path, {}), (None, {}), (tmp_path / "none", {})):
        with pytest.raises(ClearmlConfigurationError):
            read_key(broken, where)
    for text in ("[clearml]\naccess_key = A\n", "nothing", "[other]\n"):
        with pytest.raises(ClearmlConfigurationError):
            read_key(_key_file(tmp_path, text))


@pytest.mark.parametrize(
    "change",
    [
        {"clearml_api_url": "clearml.example.edu"},
        {"clearml_api_url": "https://key:secret@clearml.example.edu"},
        {"clearml_files_url": ""},
        {"clearml_files_url": "https://files:port"},
        {"clearml_web_url": "javascript:alert(1)"},
        {"clearml_project": "a"},
        {"clearml_project": 'Ada"ptery'},
    ],
)
def test_settings_that_cannot_work_stop_the_start(tmp_path: Path, change: dict[str, Any]) -> None:
    options = {**ADDRESSES, "clearml_credentials_file": str(_key_file(tmp_path)), **change}
    with pytest.raises(ClearmlConfigurationError) as caught:
        check_clearml(ServiceSettings(**options))
    assert caught.value.hint
    with pytest.raises(ValueError, match="clearml"):
        check_links(options)


def test_the_sdk_is_given_the_reader_of_the_store_and_no_other(tmp_path: Path) -> None:
    settings = ServiceSettings(**ADDRESSES)
    clients = S3Clients(CONFIG, moto_credentials())
    made = sdk_configuration(settings, ClearmlKey("A", "S"), clients)
    s3 = made["sdk"]["aws"]["s3"]
    assert s3["credentials"][0]["host"] == "s3.example.edu:443"
    assert (s3["key"], s3["credentials"][0]["secure"]) == ("KEYREADER", True)
    assert "KEYADMIN" not in str(made) and "KEYPUBLISHER" not in str(made)
    assert made["api"]["files_server"] == "https://files.clearml.example.edu:8081"
    assert made["api"]["http"]["retries"]["total"] < 10


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"clearml_service_url": "https://hub/services/adaptery/"}, "clearml_api_url"),
        (ADDRESSES, "clearml_service_url"),
        ({**ADDRESSES, "clearml_service_url": "hub.example.edu"}, "clearml_service_url"),
    ],
)
def test_a_queue_leads_to_a_clearml_that_is_there_and_back(
    options: dict[str, str], word: str
) -> None:
    queues = {"training": {"clearml_queue": "gpu"}}
    with pytest.raises(ValueError, match=word):
        check_links({**options, "queues": queues})
    check_links({**options, "queues": {"training": {}}})

"""The filesystem store: whole folders, once, and read-only."""

from pathlib import Path

import pytest

from adaptery.errors import ConflictError, NotFoundError
from adaptery_hub.objects import FilesystemStore


def folder(root: Path, **files: str) -> Path:
    made = root / "staged"
    made.mkdir()
    for name, text in files.items():
        path = made / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return made


def test_a_folder_is_put_once_and_read_back(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "objects")
    store.put_folder("datasets/ds_x/abc", folder(tmp_path, a="one", sub__b="two"))
    assert [(info.path, info.bytes) for info in store.list("datasets/ds_x")] == [
        ("abc/a", 3),
        ("abc/sub/b", 3),
    ]
    assert store.read("datasets/ds_x/abc/sub/b") == b"two"
    with store.open("datasets/ds_x/abc/a") as stream:
        assert stream.read() == b"one"
    with pytest.raises(ConflictError):
        store.put_folder("datasets/ds_x/abc", folder(tmp_path, a="other"))
    assert store.read("datasets/ds_x/abc/a") == b"one"


def test_a_removed_folder_is_gone_and_may_come_back(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "objects")
    store.put_folder("x/y", folder(tmp_path, a="one"))
    store.remove_folder("x/y")
    store.remove_folder("x/y")
    assert list(store.list("x")) == []
    with pytest.raises(NotFoundError):
        store.read("x/y/a")
    store.put_folder("x/y", folder(tmp_path, a="two"))
    assert FilesystemStore(tmp_path / "objects").read("x/y/a") == b"two"


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a//b", "", ".trash/x", "a/../../b"])
def test_keys_never_leave_the_store(tmp_path: Path, key: str) -> None:
    store = FilesystemStore(tmp_path / "objects")
    with pytest.raises((AssertionError, NotFoundError)):
        store.read(key)

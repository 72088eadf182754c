"""Atomic files and safe paths."""

import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError
from adaptery.files import rename_atomic, safe_join, write_atomic


def test_a_file_is_replaced_whole_with_its_mode(tmp_path):
    path = tmp_path / "key"
    write_atomic(path, b"old", mode=0o644)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / "key"
    path.mkdir()
    with pytest.raises(OSError):
        write_atomic(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_under_its_final_name(tmp_path):
    source = tmp_path / "work" / "tmp"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "f").write_bytes(b"x")
    (tmp_path / "done").mkdir()
    rename_atomic(source, tmp_path / "done" / "step-1")
    assert (tmp_path / "done" / "step-1" / "inner" / "f").read_bytes() == b"x"
    assert not source.exists()


@pytest.mark.parametrize(
    "relative",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "a/.",
        "a\\b",
        "a\x00b",
        "a\nb",
        "x" * 2000,
    ],
)
def test_paths_that_leave_their_folder_are_refused(tmp_path, relative):
    with pytest.raises(InvalidInputError):
        safe_join(tmp_path, relative)


def test_links_that_leave_their_folder_are_refused(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(InvalidInputError, match="link"):
        safe_join(root, "out/secret")
    assert safe_join(root, "a/b") == root / "a" / "b"


@given(st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_passes_lies_below_the_root(tmp_path, relative):
    try:
        path = safe_join(tmp_path, relative)
    except InvalidInputError:
        return
    assert path != tmp_path and path.is_relative_to(tmp_path)

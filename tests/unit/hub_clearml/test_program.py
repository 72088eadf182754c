"""The child process that speaks with ClearML: what it knows, how it ends, what is believed."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from adaptery_hub.clearml.program import (
    PROGRAM,
    Done,
    Failed,
    RegisterProgram,
    Round,
    child_environment,
    read_outcome,
)
from support.clearml_children import Child
from support.waiting import eventually

ORDER = {"action": "link", "tag": "adaptery:dv_1"}


async def test_a_child_gets_keys_by_a_file_and_nothing_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLEARML_AUTH_TOKEN", "TRAINS_API_HOST", "AWS_SECRET_ACCESS_KEY",
                 "JUPYTERHUB_API_TOKEN", "ADAPTERY_CLEARML_SECRET_KEY", "PYTHONPATH"):  # fmt: skip
        monkeypatch.setenv(name, "of-the-service")
    child = Child(tmp_path)
    assert await child.program.run(ORDER) == Done("0123abc")
    [seen] = child.seen
    assert seen["order"] == ORDER and seen["mode"] == 0o600
    assert "of-the-service" not in seen["environment"].values()
    assert "the-secret" not in str(seen["environment"]) + str(seen["argv"])
    assert seen["configuration"]["api"]["credentials"]["secret_key"] == "the-secret"
    assert list(child.children.iterdir()) == []  # the file is gone with the child


def test_only_what_a_child_needs_is_inherited(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "HOME": "/root", "CLEARML_OFFLINE_MODE": "1", "HTTPS_PROXY": "p"}
    assert child_environment(given, tmp_path) == {
        "PATH": "/bin",
        "HTTPS_PROXY": "p",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf"),
        "CLEARML_CACHE_DIR": str(tmp_path / "cache"),
    }


async def test_after_the_deadline_a_child_is_killed_with_what_it_started(tmp_path: Path) -> None:
    child = Child(tmp_path, "lingers.py", deadline_seconds=2)
    number = child.answers / "grandchild"

    async def late() -> bool:
        outcome = await child.program.run(ORDER)
        assert outcome == Failed("away", "ClearML took longer than 2 s.")
        return number.exists()  # else it was killed before it started anything

    await eventually(late, timeout_seconds=60)
    grandchild = int(number.read_text())
    await eventually(lambda: not _runs(grandchild))
    assert list(child.children.iterdir()) == []


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_child_that_floods_is_cut_off(tmp_path: Path) -> None:
    child = Child(tmp_path, "floods.py")
    outcome = await child.program.run(ORDER)
    assert isinstance(outcome, Failed) and outcome.kind == "away"


async def test_an_interpreter_that_is_not_there_is_told(tmp_path: Path) -> None:
    program = RegisterProgram(str(tmp_path / "python"), tmp_path / "children", {}, 5)
    outcome = await program.run(ORDER)
    assert isinstance(outcome, Failed) and outcome.kind == "missing"


async def test_a_child_changes_nothing_outside_its_folder(tmp_path: Path) -> None:
    """The SDK removes what a dataset says that it is its copy of: anything in reach, that is."""
    outside = tmp_path / "service.json"
    outside.write_text("{}")
    child = Child(tmp_path, "strays.py")
    order = {"register": str(PROGRAM), "outside": str(outside)}
    assert await child.program.run(order) == Done("0-of-8-2")
    assert [path.name for path in tmp_path.iterdir() if path.name == "new"] == []


def test_files_of_children_that_died_with_the_service_go_at_the_start(tmp_path: Path) -> None:
    left = tmp_path / "children" / "left" / "clearml.conf"
    left.parent.mkdir(parents=True)
    left.write_text("a key")
    RegisterProgram("python", tmp_path / "children", {}, 5)
    assert not left.exists()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"not json",
        b"[]",
        b'{"dataset": "../../etc"}',
        b'{"dataset": "' + b"a" * 65 + b'"}',
        b'{"dataset": {"id": 1}}',
        b"{}",
        b'{"failure": "odd", "reason": "of its own"}',
        b'{"failure": "away", "reason": "two\\nlines"}',
        b'{"failure": "away"' + b" " * 10,
    ],
)
def test_what_has_another_shape_is_not_believed(said: bytes) -> None:
    outcome = read_outcome(said)
    assert outcome == Failed("away", "The program that speaks with ClearML ended before it was "
                             "done.")  # fmt: skip


def _round(**changed: object) -> bytes:
    said = {"placed": {"ct_1": "0a"}, "refused": {"ct_2": "No."}, "ended": ["0b"]}
    return json.dumps({"round": {**said, "states": {"0a": "queued"}, **changed}}).encode()


def test_a_round_is_read() -> None:
    outcome = read_outcome(_round())
    assert isinstance(outcome, Done) and outcome.round == Round(
        {"ct_1": "0a"}, {"ct_2": "No."}, frozenset({"0b"}), {"0a": "queued"}
    )
    long = read_outcome(_round(refused={"ct_2": "x" * 301}))
    assert isinstance(long, Done) and long.round is not None and long.round.refused == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"placed": ["0a"]},
        {"placed": {"ct_1": "../x"}},
        {"ended": {"0b": 1}},
        {"ended": ["<html>"]},
        {"states": {"0a": "a state of many words"}},
        {"states": None},
        {"refused": {"": "No."}},
    ],
)
def test_a_round_of_another_shape_is_not_believed(changed: dict[str, object]) -> None:
    assert isinstance(read_outcome(_round(**changed)), Failed)


def test_what_it_says_is_read() -> None:
    assert read_outcome(b'{"dataset": "0a"}') == Done("0a")
    assert read_outcome(b'{"dataset": null}') == Done(None)
    refused = b'{"failure": "refused", "reason": "No."}'
    assert read_outcome(refused) == Failed("refused", "No.")

"""`adaptery data` below its service: what is written, asked, coloured and cancelled."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from adaptery import commands, terminal
from adaptery.client import Hub
from adaptery.client.operations import wait_for
from adaptery.connected_commands import add_action
from adaptery.data_commands import check, diff, pull, push, review
from adaptery.data_commands.mappings import read_mapping, write_mapping
from adaptery.data_commands.showing import record_lines
from adaptery.errors import InvalidInputError, NotFoundError, UnavailableError
from adaptery.schemas.datasets import DatasetCreate, Operation
from adaptery.schemas.lineage import DiffItem, FieldDiff, WordPiece
from adaptery.schemas.mappings import CONTAINERS, FORMATS
from adaptery.schemas.review import QUEUES
from support.scripted_service import ScriptedService, connect, dataset, operation, problem, version


class TerminalText(io.StringIO):
    """Text that believes to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_words_that_commands_know_without_pydantic_are_those_of_the_schemas() -> None:
    assert FORMATS == check.FORMATS
    assert QUEUES == review.QUEUES
    assert tuple(c for c in CONTAINERS if c != "zip") == pull.CONTAINERS
    for word in push.SENSITIVITIES:
        assert DatasetCreate(name="visits", sensitivity=word).sensitivity == word


def test_nothing_that_a_terminal_obeys_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("a\x1b[31mb\u202ec\x07\rd\x9be")
    assert capsys.readouterr().out == "a?[31mb?c??d?e\n"
    terminal.say_json("a\x1b[31m\u202e")
    assert capsys.readouterr().out == '"a\\u001b[31m\\u202e"\n'
    assert terminal.coloured("\x1b[0mx", "red") == "\x1b[31m?[0mx\x1b[0m"


def test_an_error_with_a_name_from_elsewhere_is_written_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\x1b[2Jprompt,completion\x1b[2J\na,b\n")
    assert commands.main(["data", "check", str(path)]) == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"instruction": "q", "output": "a"}]))
    there = str(tmp_path / "none" / "m.json")
    assert commands.main(["data", "check", str(path), "--save-mapping", there]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "adaptery: The mapping cannot be written there."
    ]


@pytest.mark.parametrize(
    ("environment", "expected"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert not terminal.in_colour()
    monkeypatch.setattr("sys.stdout", TerminalText())
    assert terminal.in_colour() is expected


@pytest.mark.parametrize(("typed", "expected"), [("y\n", True), ("n\n", False), ("", False)])
def test_only_a_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch, typed: str, expected: bool) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert terminal.confirmed("Well?") is expected


def test_a_mapping_is_kept_changed_and_checked_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, kept = tmp_path / "a.csv", tmp_path / "m.json"
    path.write_text("who,said,then\n1,q,a\n2,q,b\n")
    with pytest.raises(InvalidInputError):
        read_mapping(kept)
    kept.write_text('{"format": "prompt", "container": "csv", "columns": {"x": "y"}}')
    with pytest.raises(InvalidInputError):
        read_mapping(kept)
    kept.write_text("[" * 2_000_000)
    with pytest.raises(InvalidInputError, match="too large"):
        read_mapping(kept)
    columns = {"prompt": "said", "completion": "then"}
    kept.write_text(json.dumps({"format": "prompt", "container": "csv", "columns": columns}))
    assert commands.main(["data", "check", str(path), "--mapping", str(kept)]) == 0
    assert "prompt: 2 records" in capsys.readouterr().out
    write_mapping(tmp_path / "again.json", read_mapping(kept))
    assert read_mapping(tmp_path / "again.json") == read_mapping(kept)


def test_a_record_is_shown_as_a_conversation_and_shortened() -> None:
    calls = [{"name": "look", "arguments": {}}]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "first\nsecond"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        *[{"role": "tool", "content": "x" * 500}] * 5,
    ]
    lines = record_lines({"kind": "kto", "messages": messages, "label": True})
    assert lines[:2] == ["  user: first", "    second"]
    assert lines[2] == '  assistant: calls [{"name": "look", "arguments": {}}]'
    assert lines[3].endswith("xxx ... (100 characters more)")
    assert lines[-2:] == ["  ... and 1 more messages", "  label: true"]


CHANGED = DiffItem(
    id="1",
    change="changed",
    before={},
    after={},
    before_position=3,
    after_position=4,
    words=(
        FieldDiff(
            where="messages[1].content",
            pieces=(
                WordPiece(change="same", text="A "),
                WordPiece(change="removed", text="bad\x1b[0m"),
                WordPiece(change="added", text="good"),
                WordPiece(change="same", text=" end" + " x" * 200),
            ),
        ),
    ),
)


def test_changed_words_are_two_lines_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    diff._tell(CHANGED, colours=False)
    _, headline, where, before, after = capsys.readouterr().out.splitlines()
    assert (headline, where) == ("changed: record 3, now record 4", "  messages[1].content")
    assert before.startswith("-   A bad?[0m end x") and after.startswith("+   A good end x")
    assert " ... " in before and len(before) < 200


def test_changed_words_are_marked_in_colour(capsys: pytest.CaptureFixture[str]) -> None:
    diff._tell(CHANGED, colours=True)
    shown = capsys.readouterr().out
    assert "\x1b[31m[-bad?[0m-]\x1b[0m\x1b[32m{+good+}\x1b[0m end" in shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Visits 2025.json", "visits-2025"),
        ("a.b.csv", "a"),
        ("Ärzte_.txt", "rzte"),
        ("ß.csv", "dataset"),
    ],
)
def test_a_dataset_is_called_like_its_file(tmp_path: Path, name: str, expected: str) -> None:
    assert push._name_of(tmp_path / name) == expected


# -- an operation that is interrupted ---------------------------------------------------------

INFO = dataset()


def interrupted(monkeypatch: pytest.MonkeyPatch, answer: object) -> tuple[int, ScriptedService]:
    """Wait for an operation, interrupt that, and let the service answer so to the cancelling."""
    scripted = ScriptedService().on("DELETE", "api/operations/op_1", answer)
    hub = connect(scripted)
    monkeypatch.setattr("adaptery.client.connect", lambda: hub)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    def wait(hub: Hub, arguments: argparse.Namespace) -> None:
        begun = Operation.model_validate(operation("running"))
        wait_for(hub.datasets._connection, begun, timeout_seconds=60, sleep=interrupt)

    parser = add_action(argparse.ArgumentParser().add_subparsers(), "wait", "wait", wait)
    arguments = parser.parse_args([])
    return arguments.run(arguments), scripted


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (operation("cancelled"), "Cancelled on the service."),
        (operation("completed"), "It was over already: completed."),
        (problem(UnavailableError), "It could not be told, and may go on"),
    ],
)
def test_ctrl_c_cancels_what_runs_on_the_service(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: object,
    told: str,
) -> None:
    status, scripted = interrupted(monkeypatch, answer)
    assert status == 130 and scripted.requests[-1].method == "DELETE"
    assert told in capsys.readouterr().err


def test_a_version_is_found_by_number_id_and_newest() -> None:
    infos = [
        version(number=1, name="@demo/visits@1", state="completed"),
        version(number=2, name="@demo/visits@2", state="completed"),
        version(number=3, name="@demo/visits@3", state="withdrawn"),
    ]
    scripted = (
        ScriptedService()
        .on("GET", "api/datasets", {"items": [INFO], "has_more": False})
        .on("GET", f"api/datasets/{INFO['id']}/versions", {"items": infos, "has_more": False})
        .on("GET", f"api/versions/{infos[0]['id']}", infos[0])
    )
    datasets = connect(scripted).datasets
    assert datasets.version("@demo/visits").info.number == 2
    assert datasets.version("visits@3").info.state == "withdrawn"
    assert datasets.version(str(infos[0]["id"])).info.number == 1
    with pytest.raises(NotFoundError):
        datasets.version("visits@4")

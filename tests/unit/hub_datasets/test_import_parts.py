"""The parts of imports: lists of problems, deadlines, tokens, what a full disk says."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adaptery.errors import DeadlineError, FieldProblem
from adaptery.schemas.imports import FileProblem
from adaptery.schemas.mappings import Mapping
from adaptery_hub.base_model_files import BaseModelFiles
from adaptery_hub.imports import ProblemWriter, Tokenizers, csv_lines, read_problems
from adaptery_hub.imports.expected import expected_total
from adaptery_hub.imports.problems import count_problems, problem_page
from adaptery_hub.imports.steps import full_disk
from adaptery_hub.imports.tokens import cuts_by_tokens
from adaptery_hub.imports.work import Deadline
from adaptery_hub.uploads import DiskFullError

COUNT = 1_000


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "fi_1.problems"
    with ProblemWriter(path) as writer:
        for number in range(COUNT):
            reason = "is missing." * (1 + number % 7)  # lines of different lengths
            writer.add(number * 3, FieldProblem(f"record {number * 3}", reason, "Ä remedy."))
        writer.keep()
        assert writer.bytes == path.stat().st_size
    return path


def test_any_page_of_problems_is_found(listed: Path) -> None:
    assert count_problems(listed) == COUNT
    for after in (0, 1, 2, 499, 500, 997, 998, 999, 1000, 5000):
        page = problem_page(listed, after, 3)
        assert [int(item.id) for item in page] == list(range(after + 1, min(after + 4, COUNT + 1)))
    assert problem_page(listed, 6, 1)[0].number == 18
    assert len(list(read_problems(listed))) == COUNT


def test_a_list_that_was_not_finished_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "fi_1.problems"

    def cut() -> None:
        with ProblemWriter(path) as writer:
            writer.add(1, FieldProblem("record 1", "is wrong."))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cut()
    assert list(tmp_path.iterdir()) == []
    assert list(read_problems(path)) == [] and count_problems(path) == 0


def test_a_new_list_without_problems_ends_the_old_one(listed: Path) -> None:
    with ProblemWriter(listed) as writer:
        writer.keep()
    assert not listed.exists()


def test_no_cell_of_a_table_is_a_formula() -> None:
    def problems() -> Iterator[FileProblem]:
        for number, start in enumerate("=+-@\t\r"):
            yield FileProblem(
                id="1", number=number, where=f"{start}cmd|' /C calc'!A0", reason='"', remedy="a,b\n"
            )

    rows = list(csv.reader("".join(csv_lines(problems())).splitlines(keepends=True)))
    assert rows[0] == ["number", "where", "reason", "remedy"]
    assert all(row[1].startswith("'") and row[3] == "a,b\n" for row in rows[1:])


def test_a_deadline_ends_what_reports_and_what_does_not() -> None:
    class Endless:
        reported = 0

        def report(self, done: int, total: int) -> None:
            self.reported = done

        def check(self) -> None: ...

    moments = iter([0.0, 1.0, 2.0, 11.0, 12.0])
    inner = Endless()
    deadline = Deadline(inner, 10.0, lambda: next(moments))  # type: ignore[arg-type]
    deadline.check()
    deadline.report(7, 0)
    assert inner.reported == 7
    with pytest.raises(DeadlineError):
        deadline.report(8, 0)
    with pytest.raises(DeadlineError):
        deadline.check()
    assert inner.reported == 7


def test_how_much_there_is_is_told_by_how_far_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"x" * 100_000)
    assert expected_total(5, path) == 0
    with path.open("rb", buffering=0) as stream:
        stream.read(25_000)
        assert expected_total(10, path) in (40, 0)  # 0: not Linux


def test_a_full_database_is_a_full_disk(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count=4")
        with pytest.raises(DiskFullError), full_disk():
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        with pytest.raises(sqlite3.OperationalError), full_disk():
            connection.execute("INSERT INTO nothing VALUES (1)")
    with pytest.raises(DiskFullError), full_disk(), Path("/dev/full").open("wb", 0) as full:
        full.write(b"x")


def test_tokens_are_those_of_the_default_model_if_it_is_here(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    for name, letters in (("one", "ab"), ("two", "xy")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"")
        vocabulary = {letter: number for number, letter in enumerate((*letters, "[UNK]"))}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        tokenizer.save(str(folder / "tokenizer.json"))
    sources = {"org/one": str(tmp_path / "one"), "org/two": str(tmp_path / "two")}
    files = BaseModelFiles(tmp_path / "state")
    found = Tokenizers(sources, "org/two", files).first()
    assert found is not None and found.model == "org/two"
    assert found.load()("x\udcffy") == [(0, 1), (1, 2), (2, 3)]
    far = Tokenizers({"org/far": "hf:org/far", "org/gone": "/nowhere"}, "org/far", files)
    assert far.first() is None
    # What an agent handed over comes first.
    (tmp_path / "one").rename(tmp_path / "state" / "beef")
    files = BaseModelFiles(tmp_path / "state")
    files.digest_of = {"org/far": "sha256:beef"}.get
    far = Tokenizers({"org/far": "hf:org/far"}, "org/far", files).of("org/far")
    assert far is not None and far.path == tmp_path / "state" / "beef" / "tokenizer.json"
    cut = Mapping.model_validate(
        {"format": "text", "container": "txt", "chunks": {"by": "tokens", "size": 2}}
    )
    assert cuts_by_tokens(cut) and not cuts_by_tokens(None)
    archive = Mapping.model_validate(
        {
            "format": "text",
            "container": "zip",
            "parts": [json.loads(cut.model_dump_json()) | {"member": "a.txt"}],
        }
    )
    assert cuts_by_tokens(archive)

"""`adaptery audit`: offline, on the database as it lies there."""

import argparse
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from adaptery.commands import main
from adaptery.errors import ConflictError
from adaptery_hub import audit_commands
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database import Database, tables

TABLE = tables.audit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "adaptery.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """A database with a chain of three rows and one of one row, in use."""
    database = Database(f"sqlite:///{path}")
    tables.metadata.create_all(database.engine)
    entry = AuditEntry("grant", thing_id="ad_1", details={"right": "use"}, request_id="rq_1")
    database.write_now(lambda c: AuditLog("service").append_all(c, [entry] * 3))
    database.write_now(lambda c: AuditLog("other").append(c, entry))
    yield database
    database.close()


def tails(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def change(database: Database, statement: sa.Update | sa.Delete) -> None:
    database.write_now(lambda c: c.execute(statement))


def test_whole_chains(database: Database, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--database", str(path)]) == 0
    other, service = tails(capsys)
    assert other.startswith("other:1:sha256:") and service.startswith("service:3:sha256:")
    expected = ["--expect", other, "--expect", service]
    assert main(["audit", "verify", "--database", f"sqlite:///{path}", *expected]) == 0
    # More rows are no fault.
    database.write_now(lambda c: AuditLog("service").append(c, AuditEntry("x")))
    assert main(["audit", "verify", "--database", str(path), *expected]) == 0


def test_a_broken_chain_is_named_and_the_others_are_checked(
    database: Database, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = TABLE.c.writer == "service"
    change(database, TABLE.update().where(mine, TABLE.c.seq == 2).values(action="x"))
    assert main(["audit", "verify", "--database", str(path)]) == 1
    said = capsys.readouterr()
    assert "writer service: The audit chain breaks at row 2: it was changed." in said.err
    assert said.out.startswith("other:1:") and "service" not in said.out


def test_rows_that_were_cut_off_show_against_a_noted_tail(
    database: Database, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--database", str(path)]) == 0
    _, noted = tails(capsys)
    change(database, TABLE.delete().where(TABLE.c.writer == "service", TABLE.c.seq == 3))
    assert main(["audit", "verify", "--database", str(path)]) == 0
    assert main(["audit", "verify", "--database", str(path), "--expect", noted]) == 1
    assert "Row 3, which was noted, is not there any more" in capsys.readouterr().err
    # Written anew to the same length.
    database.write_now(lambda c: AuditLog("service").append(c, AuditEntry("x")))
    assert main(["audit", "verify", "--database", str(path), "--expect", noted]) == 1
    assert "Row 3 is another" in capsys.readouterr().err
    change(database, TABLE.delete().where(TABLE.c.writer == "service"))
    assert main(["audit", "verify", "--database", str(path), "--expect", noted]) == 1


def test_export(database: Database, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "export", "--database", str(path)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["writer"], row["seq"]) for row in rows] == [
        ("other", 1),
        ("service", 1),
        ("service", 2),
        ("service", 3),
    ]
    assert rows[2]["prev"] == rows[1]["row_hash"]
    assert rows[0]["details"] == {"right": "use"}


def test_a_database_is_found_by_the_options_of_the_service(
    database: Database, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = path.with_name("service.json")
    config.write_text(json.dumps({"ServiceSettings": {"state_dir": str(path.parent)}}))
    assert main(["audit", "verify", "--config", str(config)]) == 0
    assert len(tails(capsys)) == 2


def test_a_database_that_nobody_has_open_is_only_read(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    tables.metadata.create_all(database.engine)
    database.close()
    before = path.read_bytes()
    path.chmod(stat.S_IRUSR)
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert main(["audit", "verify", "--database", str(path)]) == 0
    finally:
        path.parent.chmod(stat.S_IRWXU)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_database_that_is_opened_meanwhile_is_to_be_read_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a 100%41 backup.sqlite"
    database = Database(f"sqlite:///{path}")
    tables.metadata.create_all(database.engine)
    database.close()
    assert main(["audit", "verify", "--database", str(path)]) == 0
    with pytest.raises(ConflictError), audit_commands._connection(asked(path)):
        database = Database(f"sqlite:///{path}")
        database.write_now(lambda c: AuditLog("service").append(c, AuditEntry("x")))
    database.close()


def asked(path: Path) -> argparse.Namespace:
    return argparse.Namespace(database=str(path), config=None)


def test_options_that_cannot_be_read(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.mkdir()
    for config in (path, path / "service.json"):
        assert main(["audit", "verify", "--config", str(config)]) == 1
        assert "The config file cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--database", "/nowhere/x.sqlite"], "no such database"),
        (["--database", "x://y"], "cannot be read"),
        (["--database", "postgresql+nothing://127.0.0.1:1/x"], "cannot be read"),
        (["--database", "x", "--expect", "service"], "--expect"),
    ],
)
def test_what_cannot_be_checked(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", *arguments]) == 1
    said = capsys.readouterr().err
    assert word in said and "Traceback" not in said


def test_a_file_that_is_no_database(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(b"x" * 5000)
    assert main(["audit", "verify", "--database", str(path)]) == 1
    assert "cannot be read" in capsys.readouterr().err

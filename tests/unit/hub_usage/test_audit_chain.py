"""The audit's chain: rows of changes and rows by the batch in any order; any tampering shows."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection, RowMapping

from adaptery.canonical import canonical_json
from adaptery.errors import IntegrityError
from adaptery.times import to_text
from adaptery_hub import audit
from adaptery_hub.audit import AuditEntry, AuditLog, Tail, verify, verify_writer
from adaptery_hub.database import tables
from support.examples import examples

TABLE = tables.audit

plain = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
details = st.dictionaries(st.text(max_size=6), plain | st.lists(st.text(max_size=5), max_size=3))
entries = st.builds(
    AuditEntry,
    action=st.sampled_from(["infer", "grant", "key.create"]),
    tenant_id=st.none() | st.just("tn_1"),
    thing_id=st.none() | st.just("ad_1"),
    details=details,
    request_id=st.none() | st.just("rq_1"),
)
#: Transactions, each of one row or of a batch.
transactions = st.lists(st.lists(entries, min_size=1, max_size=4), min_size=1, max_size=5)

#: Each example makes its own database.
FEW = settings(max_examples=examples(30), deadline=None)


@contextmanager
def database() -> Iterator[Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        tables.metadata.create_all(connection, [tables.tenants, TABLE])
        yield connection
    engine.dispose()


def write(connection: Connection, writes: list[list[AuditEntry]], writer: str = "service") -> None:
    log = AuditLog(writer)
    for batch in writes:
        if len(batch) == 1:
            log.append(connection, batch[0])
        else:
            log.append_all(connection, batch)


def check(connection: Connection, writer: str = "service") -> Tail:
    return [Tail(), *verify_writer(connection, writer)][-1]


@FEW
@given(transactions)
def test_any_mixture_of_transactions_is_one_chain(writes: list[list[AuditEntry]]) -> None:
    with database() as connection:
        write(connection, writes)
        assert check(connection).seq == sum(map(len, writes))


@FEW
@given(transactions, st.data())
def test_a_changed_field_is_found(writes: list[list[AuditEntry]], data: st.DataObject) -> None:
    changes: dict[str, object] = {
        "action": "x",
        "tenant_id": "tn_2",
        "thing_id": "ad_2",
        "details": {"x": 1},
        "request_id": "rq_2",
        "created_at": sa.text("'2001-01-01 00:00:00.000000'"),
        "id": "au_2",
        "prev": "sha256:" + "1" * 64,
        "row_hash": "sha256:" + "1" * 64,
    }
    with database() as connection:
        write(connection, writes)
        seq = data.draw(st.integers(1, sum(map(len, writes))))
        name = data.draw(st.sampled_from(sorted(changes)))
        changed = TABLE.update().where(TABLE.c.seq == seq).values({name: changes[name]})
        connection.execute(changed)
        with pytest.raises(IntegrityError, match=f"row {seq}"):
            check(connection)


@FEW
@given(transactions.filter(lambda writes: sum(map(len, writes)) > 1), st.data())
def test_a_dropped_row_is_found(writes: list[list[AuditEntry]], data: st.DataObject) -> None:
    with database() as connection:
        write(connection, writes)
        seq = data.draw(st.integers(1, sum(map(len, writes)) - 1))
        connection.execute(TABLE.delete().where(TABLE.c.seq == seq))
        with pytest.raises(IntegrityError, match=f"row {seq}"):
            check(connection)
        # ... also if the rows after it are numbered anew.
        for later in range(seq + 1, sum(map(len, writes)) + 1):
            moved = TABLE.update().where(TABLE.c.seq == later).values(seq=later - 1)
            connection.execute(moved)
        with pytest.raises(IntegrityError, match=f"row {seq}"):
            check(connection)


@FEW
@given(transactions.filter(lambda writes: sum(map(len, writes)) > 1), st.data())
def test_swapped_rows_are_found(writes: list[list[AuditEntry]], data: st.DataObject) -> None:
    with database() as connection:
        write(connection, writes)
        last = sum(map(len, writes))
        first = data.draw(st.integers(1, last - 1))
        second = data.draw(st.integers(first + 1, last))
        for old, new in ((first, 0), (second, first), (0, second)):
            connection.execute(TABLE.update().where(TABLE.c.seq == old).values(seq=new))
        with pytest.raises(IntegrityError, match=f"row {first}"):
            check(connection)


def test_rows_that_were_cut_off_show_against_a_noted_tail_only() -> None:
    with database() as connection:
        write(connection, [[AuditEntry("grant")]] * 3)
        noted = check(connection)
        connection.execute(TABLE.delete().where(TABLE.c.seq == 3))
        assert check(connection) == Tail(2, rows(connection)[-1]["row_hash"]) != noted


def test_a_chain_longer_than_what_is_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "VERIFIED_ROWS", 4)
    with database() as connection:
        write(connection, [[AuditEntry("infer")] * 5, [AuditEntry("grant")], [AuditEntry("x")] * 4])
        assert [tail.seq for tail in verify_writer(connection, "service")] == [4, 8, 10]


def test_what_can_no_longer_be_read_is_a_broken_chain() -> None:
    with database() as connection:
        write(connection, [[AuditEntry("grant")]])
        connection.execute(sa.text("UPDATE audit SET details = 'no json'"))
        with pytest.raises(IntegrityError, match="after row 0"):
            check(connection)


def test_writers_have_chains_of_their_own() -> None:
    with database() as connection:
        write(connection, [[AuditEntry("a")], [AuditEntry("b")] * 2], "one")
        write(connection, [[AuditEntry("c")]], "two")
        assert check(connection, "one").seq == 2 + 1
        assert check(connection, "two").seq == 1


def test_a_row_that_is_put_in_twice_is_refused_by_the_database() -> None:
    with database() as connection:
        write(connection, [[AuditEntry("a")]])
        (row,) = rows(connection)
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(TABLE.insert().values({**row, "id": "au_fork"}))


@FEW
@given(details)
def test_the_fast_way_to_the_hash_is_canonical_json(value: dict[str, object]) -> None:
    with database() as connection:
        AuditLog("service").append(connection, AuditEntry("infer", details=value))
        (row,) = rows(connection)
        expected = {name: row[name] for name in row if name not in ("row_hash", "created_at")}
        expected["created_at"] = to_text(row["created_at"])
        made_over = audit._canonical(_plain(row))
        assert made_over == canonical_json(expected)
        assert verify([row]).seq == 1


def _plain(row: RowMapping) -> dict[str, object]:
    hashed = {name: row[name] for name in audit._HASHED}
    return {**hashed, "created_at": to_text(row["created_at"])}


def rows(connection: Connection) -> list[RowMapping]:
    return list(connection.execute(sa.select(TABLE).order_by(TABLE.c.seq)).mappings())


def test_a_batch_of_nothing_writes_nothing() -> None:
    with database() as connection:
        AuditLog("service").append_all(connection, [])
        assert rows(connection) == []

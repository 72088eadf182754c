"""Usage is gathered, written together, and lost by nothing that happens to the process."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery_hub import usage as usage_module
from adaptery_hub.audit import AuditEntry, AuditLog, verify
from adaptery_hub.database import Database, tables
from adaptery_hub.spool import Segment, Spool
from adaptery_hub.usage import UsageEntry, UsageLog
from support.hub_tables import HubTables, open_tables
from support.schema import ON_POSTGRESQL
from support.waiting import eventually, eventually_sync

KEY = "ak_01hzzzzzzzzzzzzzzzzzzzzzzz"
PROGRAM = Path(__file__).parent / "programs" / "usage_writer.py"


@dataclass
class Ledger:
    """A usage log with a spool, and what it writes to."""

    hub: HubTables
    folder: Path
    tenant: str

    def log(self, database: Database | None = None, spool: Spool | None = None) -> UsageLog:
        """Return a log, as each process would make its own."""
        audit = AuditLog("service", self.hub.clock)
        spool = spool or Spool(self.folder)
        return UsageLog(database or self.hub.database, audit, self.hub.clock, spool)

    def entry(self, request_id: str = "rq_1", **changes: object) -> UsageEntry:
        entry = UsageEntry(
            tenant_id=self.tenant,
            request_id=request_id,
            model="@demo/soap@1",
            base_model="tiny/tiny-llama",
            adapter_id="ad_01hzzzzzzzzzzzzzzzzzzzzzzz",
            digests=("sha256:" + "a" * 64,),
            agent_id="ag_1",
            prompt_tokens=3,
            completion_tokens=4,
            duration_ms=5,
            outcome="completed",
            key_id=KEY,
            job_id="jb_1",
        )
        return replace(entry, **changes)  # type: ignore[arg-type]

    async def rows(self, table: sa.Table = tables.usage) -> list[RowMapping]:
        query = sa.select(table).order_by(table.c.id)
        return await self.hub.database.read(lambda c: list(c.execute(query).mappings()))

    async def chain(self) -> list[RowMapping]:
        """Return the audit, checked."""
        query = sa.select(tables.audit).order_by(tables.audit.c.seq)
        found = await self.hub.database.read(lambda c: list(c.execute(query).mappings()))
        verify(found)
        return found

    def spooled(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    hub = open_tables(tmp_path)
    yield Ledger(hub, tmp_path / "usage", await hub.tenant("demo"))
    hub.database.close()


async def test_rows_come_together_and_soon(ledger: Ledger) -> None:
    log = ledger.log()
    for number in range(3):
        await log.add(ledger.entry(f"rq_{number}"))
    assert await ledger.rows() == []
    assert len(ledger.spooled()) == 1
    await eventually(ledger.rows, timeout_seconds=5)
    assert [row["request_id"] for row in await ledger.rows()] == ["rq_0", "rq_1", "rq_2"]
    assert [row["seq"] for row in await ledger.chain()] == [1, 2, 3]
    await eventually(lambda: ledger.spooled() == [])
    await log.stop()


async def test_an_audit_row_ties_the_request_to_adapter_job_and_datasets(ledger: Ledger) -> None:
    log = ledger.log()
    await log.add(ledger.entry("rq_7", kind="embeddings", channel="sealed"))
    await log.flush()
    (usage,), (audit,) = await ledger.rows(), await ledger.chain()
    assert audit["request_id"] == usage["request_id"] == "rq_7"
    assert audit["thing_id"] == usage["adapter_id"]
    assert audit["created_at"] == usage["created_at"]
    assert audit["id"][3:] == usage["id"][3:]
    assert audit["details"]["job"] == "jb_1"
    assert audit["details"]["digests"] == ["sha256:" + "a" * 64]
    assert (usage["kind"], usage["channel"]) == ("embeddings", "sealed")
    await log.stop()


async def test_without_a_spool_a_row_is_written_before_add_returns(ledger: Ledger) -> None:
    log = UsageLog(ledger.hub.database, ledger.hub.audit, ledger.hub.clock)
    await asyncio.gather(*(log.add(ledger.entry(f"rq_{number}")) for number in range(5)))
    assert len(await ledger.rows()) == 5


async def test_many_rows_do_not_wait_for_the_clock(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "FLUSH_SECONDS", 3600.0)
    monkeypatch.setattr(usage_module, "BATCH_ROWS", 4)
    log = ledger.log()
    for number in range(4):
        await log.add(ledger.entry(f"rq_{number}"))
    await eventually(ledger.rows)
    await log.stop()


async def test_rows_that_come_during_a_write_are_written_too(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "FLUSH_SECONDS", 0.01)
    log = ledger.log()
    for number in range(200):
        await log.add(ledger.entry(f"rq_{number}"))
        await asyncio.sleep(0)

    async def all_there() -> bool:
        return len(await ledger.rows()) == 200

    await eventually(all_there)
    await ledger.chain()
    await log.stop()


async def test_stopping_writes_what_waits(ledger: Ledger) -> None:
    log = ledger.log()
    await log.add(ledger.entry())
    await log.stop()
    assert len(await ledger.rows()) == 1
    assert ledger.spooled() == []


async def test_rows_of_changes_and_rows_of_answers_share_the_chain(ledger: Ledger) -> None:
    log, audit = ledger.log(), ledger.hub.audit
    for number in range(3):
        await log.add(ledger.entry(f"rq_{number}"))
        entry = AuditEntry("grant", ledger.tenant, "ad_1")
        await asyncio.gather(
            ledger.hub.database.write(lambda c, e=entry: audit.append(c, e)), log.flush()
        )
    assert [row["seq"] for row in await ledger.chain()] == [1, 2, 3, 4, 5, 6]
    await log.stop()


async def test_two_processes_of_one_name_extend_one_chain(ledger: Ledger) -> None:
    other = Database(ledger.hub.database.url)
    logs = [ledger.log(), ledger.log(other)]
    for number in range(40):
        await logs[number % 2].add(ledger.entry(f"rq_{number}"))
        await asyncio.gather(*(log.flush() for log in logs))
    assert len(await ledger.chain()) == 40
    assert len(await ledger.rows()) == 40
    for log in logs:
        await log.stop()
    other.close()


# -- tokens that wait -----------------------------------------------------------------------------


async def test_tokens_are_pending_until_the_database_counts_them(ledger: Ledger) -> None:
    log = ledger.log()
    await log.add(ledger.entry())
    await log.add(ledger.entry(key_id=None))
    assert log.pending_tokens(KEY) == 7

    def seen(connection: Connection) -> int:
        tokens = sa.func.sum(tables.usage.c.prompt_tokens + tables.usage.c.completion_tokens)
        query = sa.select(sa.func.coalesce(tokens, 0)).where(tables.usage.c.key_id == KEY)
        return connection.execute(query).scalar_one() + log.pending_tokens(KEY)

    # Whatever stands before and after the flush in the writer's queue sees each token once.
    before, _, after = await asyncio.gather(
        ledger.hub.database.write(seen), log.flush(), ledger.hub.database.write(seen)
    )
    assert (before, after) == (7, 7)
    assert log.pending_tokens(KEY) == 0
    await log.stop()


# -- what goes wrong ------------------------------------------------------------------------------


class BusyDatabase(Database):
    """Takes no write for a while."""

    busy = True

    def _run_write(self, fn: Callable, *args: object) -> object:  # type: ignore[override]
        if self.busy:
            raise sa.exc.OperationalError("BEGIN IMMEDIATE", {}, Exception("locked"))
        return super()._run_write(fn, *args)  # type: ignore[arg-type]


async def test_a_database_that_takes_no_writes_delays_and_loses_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(usage_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(usage_module, "BATCH_ROWS", 2)
    monkeypatch.setattr(usage_module, "BATCHES_IN_MEMORY", 3)
    database = BusyDatabase(ledger.hub.database.url)
    log = ledger.log(database)
    for number in range(21):
        await log.add(ledger.entry(f"rq_{number}"))
        await asyncio.sleep(0)
    assert sum(len(batch.rows) for batch in log._full) <= 2 * 4
    assert log.pending_tokens(KEY) == 21 * 7
    database.busy = False

    async def all_there() -> bool:
        return len(await ledger.rows()) == 21

    await eventually(all_there)
    await eventually(lambda: log.pending_tokens(KEY) == 0)
    assert len(await ledger.chain()) == 21
    await log.stop()
    database.close()


async def test_what_a_stop_cannot_write_waits_for_the_next_start(ledger: Ledger) -> None:
    database = BusyDatabase(ledger.hub.database.url)
    log = ledger.log(database)
    await log.add(ledger.entry())
    await log.stop()
    database.close()
    assert await ledger.rows() == []
    await ledger.log().start()
    assert len(await ledger.rows()) == 1
    assert ledger.spooled() == []


@pytest.mark.parametrize(
    "fault",
    [{"tenant_id": "tn_of_nobody"}, {"prompt_tokens": 2**70}, {"model": "\ud800"}],
)
async def test_one_row_that_the_database_refuses_keeps_no_other_out(
    ledger: Ledger, fault: dict[str, object]
) -> None:
    log = ledger.log()
    await log.add(ledger.entry("rq_1"))
    await log.add(ledger.entry("rq_2", **fault))
    await log.add(ledger.entry("rq_3"))
    await log.flush()
    assert [row["request_id"] for row in await ledger.rows()] == ["rq_1", "rq_3"]
    assert len(await ledger.chain()) == 2
    assert log.pending_tokens(KEY) == 0
    assert ledger.spooled() == []
    await log.stop()


class SpoolOnFullDisk(Spool):
    """Has room for nothing."""

    def begin(self) -> Segment:
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_refuses_no_answer(ledger: Ledger) -> None:
    log = ledger.log(spool=SpoolOnFullDisk(ledger.folder))
    await log.add(ledger.entry())
    await log.flush()
    assert len(await ledger.rows()) == 1
    await log.stop()


# -- crashes --------------------------------------------------------------------------------------


async def crash(log: UsageLog) -> None:
    """Leave a log as a killed process does: its locks are gone, its files are there."""
    assert log._timer is not None
    log._timer.cancel()
    for batch in (log._open, *log._full):
        if batch.segment is not None:
            batch.segment.release()


async def test_the_next_start_writes_what_a_crash_left_once(ledger: Ledger) -> None:
    log = ledger.log()
    await log.add(ledger.entry("rq_1"))
    await log.add(ledger.entry("rq_2"))
    await crash(log)
    saved = {path: path.read_bytes() for path in ledger.spooled()}
    await ledger.log().start()
    assert [row["request_id"] for row in await ledger.rows()] == ["rq_1", "rq_2"]
    # Killed between the commit and the removal of the file: it is there again.
    for path, content in saved.items():
        path.write_bytes(content)
    await ledger.log().start()
    assert len(await ledger.rows()) == len(await ledger.chain()) == 2
    assert ledger.spooled() == []


async def test_a_line_that_was_cut_spoils_no_other(ledger: Ledger) -> None:
    log = ledger.log()
    for number in range(3):
        await log.add(ledger.entry(f"rq_{number}"))
    await crash(log)
    (path,) = ledger.spooled()
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:40], lines[2], lines[3], b"{", b"[1]", b"\0"]))
    await ledger.log().start()
    assert [row["request_id"] for row in await ledger.rows()] == ["rq_1", "rq_2"]


async def test_what_a_living_process_writes_is_left_to_it(ledger: Ledger) -> None:
    log = ledger.log()
    await log.add(ledger.entry())
    await ledger.log().start()
    assert await ledger.rows() == []
    await log.flush()
    assert len(await ledger.rows()) == 1
    await log.stop()


async def test_only_the_services_account_may_read_a_spool(ledger: Ledger) -> None:
    log = ledger.log()
    await log.add(ledger.entry())
    (path,) = ledger.spooled()
    assert path.stat().st_mode & 0o077 == 0
    (line,) = path.read_bytes().split()[:1]
    assert line.startswith(b'["')
    await log.stop()


async def test_a_process_that_is_killed_under_load_loses_nothing(ledger: Ledger) -> None:
    """It says each request after `add` returned; the next start has all that were said."""
    command = [sys.executable, str(PROGRAM), ledger.hub.database.url, str(ledger.folder)]
    process = subprocess.Popen([*command, ledger.tenant], stdout=subprocess.PIPE)
    assert process.stdout is not None
    said: list[str] = []
    while len(said) < 3000:  # more than one flush, and in the middle of another
        said.append(json.loads(process.stdout.readline()))
    os.kill(process.pid, signal.SIGKILL)
    said += [json.loads(line) for line in process.stdout if line.endswith(b"\n")]
    process.stdout.close()
    eventually_sync(lambda: process.poll() is not None)
    await ledger.log().start()
    written = [row["request_id"] for row in await ledger.rows()]
    assert len(written) == len(set(written))
    assert set(said) <= set(written)
    assert len(await ledger.chain()) == len(written)
    assert ledger.spooled() == []


@pytest.mark.skipif(ON_POSTGRESQL, reason="how durable a commit is, PostgreSQL decides")
async def test_usage_is_on_the_disk_before_its_line_goes(ledger: Ledger) -> None:
    def waits(connection: Connection) -> int:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar_one()

    normal, full = 1, 2
    assert await ledger.hub.database.write(waits, durable=True) == full
    assert await ledger.hub.database.write(waits) == normal

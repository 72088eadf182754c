"""The database: its schema is what the migrations make, and each call is one transaction."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from adaptery.times import now
from adaptery_hub.database import Database
from adaptery_hub.database.migrations import migrate
from adaptery_hub.database.tables import job_events, jobs, metadata, tenants
from support.databases import KINDS, empty_database


@pytest.fixture
def database(tmp_path: Path):  # type: ignore[no-untyped-def]
    database = Database(f"sqlite:///{tmp_path / 'folder' / 'test.sqlite'}")
    migrate(database.engine)
    yield database
    database.close()


def tenant(name: str, **values: object) -> sa.Insert:
    row = {"id": f"tn_{name}", "created_at": now(), "kind": "user", "hub_name": name}
    return sa.insert(tenants).values({**row, "slug": name, "state": "active", **values})


def test_the_migrations_make_the_tables(database: Database) -> None:
    migrate(database.engine)  # again: nothing to do
    with database.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_every_table_has_an_id_and_a_time() -> None:
    for table in metadata.tables.values():
        assert {"id", "created_at"} <= set(table.c.keys()), table.name


async def test_a_failed_write_leaves_nothing(database: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.execute(tenant("a"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(fail)
    assert await database.read(lambda c: c.scalar(sa.select(sa.func.count(tenants.c.id)))) == 0


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(sa.exc.OperationalError):
        await database.read(lambda c: c.execute(tenant("a")))


async def test_many_writers_take_turns(database: Database) -> None:
    def increment(connection: sa.Connection) -> None:
        held = connection.scalar(sa.select(sa.func.count(tenants.c.id)))
        connection.execute(tenant(f"t{held}"))

    await asyncio.gather(*(database.write(increment) for _ in range(20)))
    assert await database.read(lambda c: c.scalar(sa.select(sa.func.count(tenants.c.id)))) == 20


async def test_times_are_aware_utc_and_naive_ones_are_refused(database: Database) -> None:
    moment = now()
    await database.write(lambda c: c.execute(tenant("a", created_at=moment)))
    stored = await database.read(lambda c: c.scalar(sa.select(tenants.c.created_at)))
    assert stored == moment and stored.tzinfo is not None
    with pytest.raises(sa.exc.StatementError):
        naive = datetime(2026, 1, 1)  # noqa: DTZ001
        await database.write(lambda c: c.execute(tenant("b", created_at=naive)))


async def test_an_error_does_not_quote_values(database: Database) -> None:
    await database.write(lambda c: c.execute(tenant("canary")))
    with pytest.raises(sa.exc.IntegrityError) as caught:
        await database.write(lambda c: c.execute(tenant("canary")))
    assert "canary" not in str(caught.value)


def test_a_database_of_the_first_release_keeps_its_jobs(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    migrate(database.engine, "0001")
    made, queued = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    job = {
        "name": "notes",
        "task": "t",
        "task_digest": "sha256:0",
        "base_model": "b",
        "options": {},
    }
    job |= {"state": "queued", "queue": "q", "tenant_id": "tn_demo", "creator_id": "tn_demo"}
    with database.engine.begin() as connection:
        connection.execute(tenant("demo"))
        for id in ("jb_1", "jb_2"):
            connection.execute(
                sa.insert(jobs).values(id=id, created_at=made, updated_at=now(), **job)
            )
        for seq, (kind, at) in enumerate([("state", made), ("state", queued), ("metrics", now())]):
            event = {"id": f"ev_{seq}", "seq": seq, "kind": kind, "created_at": at, "data": {}}
            connection.execute(sa.insert(job_events).values(job_id="jb_1", **event))
    migrate(database.engine)
    with database.engine.begin() as connection:
        times = connection.execute(sa.select(jobs.c.id, jobs.c.state_at).order_by(jobs.c.id)).all()
        events = connection.scalar(sa.select(sa.func.count(job_events.c.id)))
        keys = connection.scalars(sa.select(jobs.c.key)).all()
    assert times == [("jb_1", queued), ("jb_2", made)]
    assert keys == [None, None]
    assert events == 3
    database.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_text_with_nul_is_nowhere(kind: str, tmp_path: Path) -> None:
    database = empty_database(kind, tmp_path)
    statement = tenants.select().where(tenants.c.hub_name == "a\0b")
    assert await database.read(lambda c: c.execute(statement).all()) == []
    database.close()


async def test_a_server_that_ended_a_connection_is_asked_by_another(tmp_path: Path) -> None:
    database = empty_database("postgresql", tmp_path)

    def process(connection: sa.Connection) -> int:
        return connection.scalar(sa.text("SELECT pg_backend_pid()"))

    before = await database.read(process)
    other = sa.create_engine(database.url)
    with other.begin() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": before})
    other.dispose()
    assert await database.read(process) != before
    database.close()

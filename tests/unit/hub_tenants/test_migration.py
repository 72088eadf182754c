"""Tenants of an earlier release: kept whole, and free to leave their name to others."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from adaptery.times import now
from adaptery_hub.database import Database
from adaptery_hub.database.migrations import migrate
from adaptery_hub.database.tables import checkpoints, datasets, tenants

FILES = [{"path": "a", "bytes": 2**33, "digest": "x"}, {"path": "b", "bytes": 5, "digest": "y"}]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield database
    database.close()


def tenant(id: str, name: str, slug: str, state: str = "active") -> sa.Insert:
    row = {"id": id, "created_at": now(), "kind": "user", "hub_name": name, "slug": slug}
    return sa.insert(tenants).values(**row, state=state)


def test_what_hangs_on_tenants_is_kept_and_checkpoints_are_counted(database: Database) -> None:
    migrate(database.engine, "0006")
    moment = now()
    thing = {"created_at": moment, "updated_at": moment, "tenant_id": "tn_1", "creator_id": "tn_1"}
    job = {**thing, "id": "jb_1", "name": "x", "task": "t", "task_digest": "d", "base_model": "b"}
    job |= {"options": "{}", "state": "failed", "queue": "q", "flag_cancel": False, "priority": 0}
    checkpoint = {"id": "ck_1", "created_at": moment, "job_id": "jb_1", "step": 1, "digest": "d"}
    with database.engine.begin() as connection:
        connection.execute(tenant("tn_1", "demo", "demo"))
        dataset = {**thing, "id": "ds_1", "name": "visits", "sensitivity": "open"}
        connection.execute(sa.insert(datasets).values(dataset))
        for name, row in (("jobs", job), ("checkpoints", {**checkpoint, "files": "[]"})):
            columns = ", ".join(row)
            values = ", ".join(f":{column}" for column in row)
            given = {k: v.isoformat(" ") if k.endswith("_at") else v for k, v in row.items()}
            if name == "checkpoints":
                given["files"] = json.dumps(FILES)
            connection.execute(sa.text(f"INSERT INTO {name} ({columns}) VALUES ({values})"), given)
    migrate(database.engine)
    with database.engine.begin() as connection:
        assert connection.scalar(sa.select(checkpoints.c.bytes)) == 2**33 + 5
        assert connection.scalar(sa.select(datasets.c.tenant_id)) == "tn_1"
        (row,) = connection.execute(sa.select(tenants)).mappings()
        assert (row["slug"], row["state"], row["dormant_at"]) == ("demo", "active", None)


def test_one_of_a_name_is_awake_and_any_number_dormant(database: Database) -> None:
    migrate(database.engine)
    with database.engine.begin() as connection:
        for number in range(3):
            connection.execute(tenant(f"tn_{number}", "demo", f"demo-{number}", "dormant"))
        connection.execute(tenant("tn_a", "demo", "demo"))
    for state in ("active", "suspended", "expected"):
        with pytest.raises(sa.exc.IntegrityError), database.engine.begin() as connection:
            connection.execute(tenant("tn_b", "demo", "demo-b", state))


def test_references_count_again_after_a_migration(database: Database) -> None:
    migrate(database.engine)
    moment = now()
    row = {"id": "ds_1", "created_at": moment, "updated_at": moment, "name": "visits"}
    row |= {"tenant_id": "tn_nobody", "creator_id": "tn_nobody", "sensitivity": "open"}
    with pytest.raises(sa.exc.IntegrityError), database.engine.begin() as connection:
        connection.execute(sa.insert(datasets).values(row))


def test_a_migration_that_would_lose_a_reference_changes_nothing(database: Database) -> None:
    migrate(database.engine, "0006")
    with database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys=OFF")
        moment = now()
        row = {"id": "ds_1", "created_at": moment, "updated_at": moment, "name": "visits"}
        row |= {"tenant_id": "tn_nobody", "creator_id": "tn_nobody", "sensitivity": "open"}
        with connection.begin():
            connection.execute(sa.insert(datasets).values(row))
    with pytest.raises(RuntimeError, match="datasets"):
        migrate(database.engine)
    with database.engine.begin() as connection:
        names = {column["name"] for column in sa.inspect(connection).get_columns("tenants")}
    assert "dormant_at" not in names

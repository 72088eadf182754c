"""Statements that the driver is asked directly answer as SQLAlchemy does."""

import pytest
import sqlalchemy as sa

from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database import tables
from adaptery_hub.database.prepared import Prepared
from support.schema import open_database

TENANT, ADAPTER, OTHER = new_id("tn"), new_id("ad"), new_id("ad")
COLUMNS = {
    "tenant_id": TENANT,
    "creator_id": TENANT,
    "base_model": "tiny/tiny",
    "base_weight_digest": "sha256:" + "0" * 64,
    "weight_digest": "sha256:" + "1" * 64,
    "sensitivity": "internal",
    "card": {"nested": [1, None, "ü"]},
    "state": "completed",
}


@pytest.fixture
def connection(tmp_path):
    database = open_database(tmp_path / "hub.sqlite")
    with database.engine.begin() as made:
        person = {"id": TENANT, "kind": "user", "hub_name": "u", "slug": "u", "state": "active"}
        made.execute(tables.tenants.insert().values(**person, created_at=now()))
        for id, number, limits in ((ADAPTER, 1, None), (OTHER, 2, {"answers": 3})):
            row = {**COLUMNS, "id": id, "name": "soap", "number": number, "limits": limits}
            files, digests = [{"path": "x", "bytes": 3}], ["sha256:" + "2" * 64]
            given = {**row, "created_at": now(), "files": files, "content_digests": digests}
            made.execute(tables.adapters.insert().values(given))
        yield made
    database.close()


def statement():
    adapters, tenants = tables.adapters, tables.tenants
    return (
        sa.select(adapters, tenants.c.slug, tenants.c.kind.label("tenant_kind"))
        .join(tenants, tenants.c.id == adapters.c.tenant_id)
        .where(adapters.c.state == "completed", adapters.c.id == sa.bindparam("asked"))
        .limit(1)
    )


@pytest.mark.parametrize("asked", [ADAPTER, OTHER], ids=["there", "missing"])
def test_a_row_is_the_one_that_sqlalchemy_has_column_by_column(connection, asked):
    prepared = Prepared(statement())
    expected = connection.execute(statement(), {"asked": asked}).mappings().first()
    for _ in range(2):
        found = prepared.first(connection, {"asked": asked})
        assert found == dict(expected)
        assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in expected.items()}


def test_what_is_not_there_is_none_and_what_is_given_is_a_value_never_sql(connection):
    prepared = Prepared(statement())
    for asked in ("", "ad_nobody", f"' OR id = '{ADAPTER}", f"{ADAPTER}' --"):
        assert prepared.first(connection, {"asked": asked}) is None
    with pytest.raises(KeyError):
        prepared.first(connection, {})

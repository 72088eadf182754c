"""What an earlier release wrote is still whole after an upgrade."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from adaptery_hub.audit import GENESIS, AuditEntry, AuditLog, verify_writer
from adaptery_hub.database import Database, tables
from adaptery_hub.database.migrations import migrate
from adaptery_hub.identity import Identity
from adaptery_hub.usage_reports import report_of

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
TENANT = "tn_01hzzzzzzzzzzzzzzzzzzzzzzz"
ADAPTER = "ad_01hzzzzzzzzzzzzzzzzzzzzzzz"
#: As the first release wrote them, its hashes included.
AUDIT = [
    {
        "seq": 1,
        "prev": GENESIS,
        "row_hash": "sha256:2f1951d880f5c5a1b6c2012a03da9ec64dea340556e03561a21f38e427c1f10f",
        "tenant_id": None,
        "action": "base_model.bind",
        "thing_id": None,
        "details": {"base_model": "tiny/tiny-llama", "first": True},
        "request_id": None,
    },
    {
        "seq": 2,
        "prev": "sha256:2f1951d880f5c5a1b6c2012a03da9ec64dea340556e03561a21f38e427c1f10f",
        "row_hash": "sha256:415e6da99ea086db5961111d8776d8531fab8e9484ae824d6f749b4061cc7da6",
        "tenant_id": TENANT,
        "action": "infer",
        "thing_id": ADAPTER,
        "details": {
            "prompt_tokens": 3,
            "outcome": "completed",
            "digests": ["sha256:aa"],
            "model": "@demo/sòap@1",
        },
        "request_id": "rq_1",
    },
]


def test_rows_of_the_first_release(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    migrate(database.engine, "0001")
    tenant = {"id": TENANT, "kind": "user", "hub_name": "demo", "slug": "demo", "state": "active"}
    usage = {"id": "us_1", "tenant_id": TENANT, "request_id": "rq_1", "channel": "open"}
    counts = {"prompt_tokens": 3, "completion_tokens": 4, "outcome": "completed"}
    with database.engine.begin() as connection:
        connection.execute(tables.tenants.insert().values(created_at=MOMENT, **tenant))
        connection.execute(tables.usage.insert().values(created_at=MOMENT, **usage, **counts))
        for row in AUDIT:
            values = {"id": f"au_{row['seq']}", "created_at": MOMENT, "writer": "service", **row}
            connection.execute(tables.audit.insert().values(values))
    migrate(database.engine)
    database.write_now(lambda c: AuditLog("service").append(c, AuditEntry("infer")))
    with database.engine.begin() as connection:
        assert [tail.seq for tail in verify_writer(connection, "service")] == [3]
        assert connection.scalar(sa.select(sa.func.count(tables.usage.c.id))) == 1
    me = Identity(TENANT, "demo", "demo", (), (), (), frozenset({"read"}), "token")
    later = MOMENT + timedelta(days=1)
    report = report_of(me, "mine", ["day", "kind"], None, None, later)
    (row,) = database.read_now(lambda c: report.rows(c, None, 10))
    assert (row.requests, row.prompt_tokens, row.kind) == (1, 3, None)
    database.close()

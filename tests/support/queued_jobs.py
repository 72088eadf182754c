"""Many jobs that wait, put into the tables at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.engine import Connection

from adaptery.ids import new_id
from adaptery.schemas.spec import JobSpec
from adaptery_hub.database import tables
from support.agent_side.specs import make_spec
from support.hub_tables import BASE, WEIGHTS, HubTables

_LATER = {"job", "attempt", "fencing_token", "base_model"}


async def insert_queued(hub: HubTables, numbers: Mapping[str, int]) -> list[str]:
    """Queue so many jobs of each owner on `@owner/visits@1`, all of one before those of the next.

    Returns their ids.
    """
    spec = frozen(make_spec())
    rows: list[dict[str, object]] = []
    inputs: list[dict[str, object]] = []
    for owner, number in numbers.items():
        version, tenant = await hub.version(owner), await hub.tenant(owner)
        for _ in range(number):
            row = _row(tenant, hub.clock() + timedelta(milliseconds=len(rows)), spec)
            rows.append(row)
            inputs.append(_input(row, version))

    def insert(connection: Connection) -> None:
        connection.execute(tables.jobs.insert(), rows)
        connection.execute(tables.job_inputs.insert(), inputs)

    await hub.database.write(insert)
    return [str(row["id"]) for row in rows]


def frozen(spec: JobSpec) -> dict[str, object]:
    """Return a spec as a job keeps it."""
    return spec.model_dump(mode="json", exclude_none=True, exclude=_LATER)


def _row(tenant: str, moment: object, spec: dict[str, object]) -> dict[str, object]:
    times = dict.fromkeys(("created_at", "updated_at", "state_at", "queued_at"), moment)
    return {
        "id": new_id("jb"),
        "tenant_id": tenant,
        "creator_id": tenant,
        "name": "notes",
        "task": "training-v0",
        "task_digest": WEIGHTS,
        "base_model": BASE,
        "weight_digest": WEIGHTS,
        "options": {},
        "spec": spec,
        "state": "queued",
        "queue": "training",
        "priority": 0,
        **times,
    }


def _input(row: Mapping[str, object], version: str) -> dict[str, object]:
    return {
        "id": f"{row['id']}.0",
        "created_at": row["created_at"],
        "job_id": row["id"],
        "version_id": version,
        "position": 0,
    }

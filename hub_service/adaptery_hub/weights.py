"""Weights on a base model by what names them: adapters, and checkpoints of the jobs that make them.

Invariants:
- What is hidden and what is not there end alike, after one query.
- An own key reaches the adapters that it was made for, and no checkpoints of them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from adaptery.names import CheckpointRef, JobRef, ModelRef, NamedRef
from adaptery_hub.database.prepared import Row
from adaptery_hub.database.statements import adapters, checkpoints
from adaptery_hub.full_names import full_name
from adaptery_hub.identity import Identity


def find_weights(connection: Connection, identity: Identity, ref: ModelRef | None) -> Row | None:
    """Returns the adapter or checkpoint that a name means, if the caller may use it.

    Both have the columns of `adapters`; a checkpoint has a `step` besides, and its `adapter_id` is
    the adapter of its job, once that is there.
    """
    if isinstance(ref, JobRef) and ref.checkpoint_step is None:
        return adapters.find_usable(connection, identity, job_id=ref.job)
    if isinstance(ref, NamedRef):
        return adapters.find_named(connection, identity, **_parts(ref))
    if identity.key is None and isinstance(ref, JobRef) and ref.checkpoint_step is not None:
        return checkpoints.find_of_job(connection, identity, ref.checkpoint_step, ref.job)
    if identity.key is None and isinstance(ref, CheckpointRef):
        step = ref.name.checkpoint_step or 0
        return checkpoints.find_named(connection, identity, step, **_parts(ref))
    # Nothing has the empty id; the query runs all the same, so that this path takes as long.
    return adapters.find_usable(connection, identity, adapter_id="")


def _parts(ref: NamedRef | CheckpointRef) -> dict[str, Any]:
    name = ref.name
    return {
        "name": name.name,
        "slug": name.tenant,
        "group": not name.personal,
        "number": name.version,
    }


def pinned_name(row: Row) -> str:
    """Returns the name that always means these weights: of an adapter, or of a checkpoint."""
    step = row.get("step")
    if row["number"] is None:
        return f"{row['job_id']}-step{step}"
    name = full_name(row["tenant_kind"], row["slug"], row["name"], row["number"])
    return name if step is None else f"{name}-step{step}"

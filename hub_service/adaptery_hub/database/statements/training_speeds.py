"""Named statements on what completed attempts measured: tokens a second and peak memory.

Numbers by agent, base weights and stage; whose job it was is not written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery.ids import new_id
from adaptery_hub.database import tables

_speeds = tables.training_speeds

#: The newest are asked for; machines and releases change.
NEWEST = 30


@dataclass(frozen=True)
class Measured:
    """What one attempt measured."""

    agent_id: str
    precision: str
    tokens_per_second: float
    peak_memory_bytes: int | None
    row_tokens: float | None  # mean of the rows of its batches
    spec: Mapping[str, object]  # its sections lora and optim


def note(
    connection: Connection, weight_digest: str, stage: str, measured: Measured, now: datetime
) -> None:
    """Write down what an attempt measured."""
    connection.execute(
        sa.insert(_speeds).values(
            id=new_id("ts"),
            created_at=now,
            agent_id=measured.agent_id,
            weight_digest=weight_digest,
            stage=stage,
            precision=measured.precision,
            tokens_per_second=measured.tokens_per_second,
            peak_memory_bytes=measured.peak_memory_bytes,
            row_tokens=measured.row_tokens,
            spec=dict(measured.spec),
        )
    )


def of_model(connection: Connection, weight_digest: str, stage: str) -> list[Measured]:
    """Return what the newest attempts with a base model and stage measured."""
    statement = (
        sa.select(_speeds)
        .where(_speeds.c.weight_digest == weight_digest, _speeds.c.stage == stage)
        .order_by(_speeds.c.created_at.desc(), _speeds.c.id.desc())
        .limit(NEWEST)
    )
    return [
        Measured(
            row["agent_id"],
            row["precision"],
            row["tokens_per_second"],
            row["peak_memory_bytes"],
            row["row_tokens"],
            row["spec"],
        )
        for row in connection.execute(statement).mappings()
    ]

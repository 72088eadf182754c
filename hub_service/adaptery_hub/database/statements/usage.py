"""Named statements on usage: one row per request that reached an agent. Counts only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.engine import Connection

from adaptery.ids import new_id
from adaptery_hub.database import tables


def insert(connection: Connection, values: Mapping[str, object], now: datetime) -> None:
    """Inserts what one request cost."""
    connection.execute(tables.usage.insert().values(id=new_id("us"), created_at=now, **values))

"""Named statements on agents and the one-time tokens they join with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery_hub.database import tables

_agents = tables.agents
_tokens = tables.join_tokens


def insert_agent(
    connection: Connection,
    *,
    agent_id: str,
    owner: str,
    labels: Sequence[str],
    card: Mapping[str, object],
    broker_key: str | None,
    now: datetime,
) -> None:
    """Inserts an agent that has just joined."""
    connection.execute(
        _agents.insert().values(
            id=agent_id,
            created_at=now,
            owner=owner,
            labels=list(labels),
            card=dict(card),
            broker_key=broker_key,
            state="joined",
        )
    )


def get(connection: Connection, agent_id: str) -> RowMapping | None:
    """Returns one agent."""
    statement = sa.select(_agents).where(_agents.c.id == agent_id)
    return connection.execute(statement).mappings().first()


def list_agents(connection: Connection) -> list[RowMapping]:
    """Returns all agents, newest first."""
    return list(connection.execute(sa.select(_agents).order_by(_agents.c.id.desc())).mappings())


def set_state(
    connection: Connection, agent_id: str, state: str, seen_at: datetime | None = None
) -> bool:
    """Notes that an agent came or went; a revoked one stays revoked. Returns whether it changed."""
    values: dict[str, object] = {"state": state}
    if seen_at is not None:
        values["last_seen_at"] = seen_at
    statement = (
        _agents.update()
        .where(_agents.c.id == agent_id, _agents.c.state != "revoked")
        .values(values)
    )
    return connection.execute(statement).rowcount == 1


def note_seen(
    connection: Connection, agent_id: str, seen_at: datetime, capability: Mapping[str, object]
) -> None:
    """Keeps when an agent was last heard and what it said it can do."""
    connection.execute(
        _agents.update()
        .where(_agents.c.id == agent_id)
        .values(last_seen_at=seen_at, capability=dict(capability))
    )


def insert_token(
    connection: Connection,
    *,
    token_id: str,
    creator_id: str | None,
    secret_hash: str,
    labels: Sequence[str],
    expires_at: datetime,
    now: datetime,
) -> None:
    """Inserts a one-time join token."""
    connection.execute(
        _tokens.insert().values(
            id=token_id,
            created_at=now,
            creator_id=creator_id,
            secret_hash=secret_hash,
            labels=list(labels),
            expires_at=expires_at,
        )
    )


def get_token(connection: Connection, token_id: str) -> RowMapping | None:
    """Returns one join token."""
    statement = sa.select(_tokens).where(_tokens.c.id == token_id)
    return connection.execute(statement).mappings().first()


def use_token(connection: Connection, token_id: str, now: datetime) -> bool:
    """Uses a join token up; returns False if it was used before or has expired."""
    statement = (
        _tokens.update()
        .where(_tokens.c.id == token_id, _tokens.c.used_at.is_(None), _tokens.c.expires_at > now)
        .values(used_at=now)
    )
    return connection.execute(statement).rowcount == 1


def bind_token(connection: Connection, token_id: str, agent_id: str) -> None:
    """Notes which agent a used token made."""
    connection.execute(_tokens.update().where(_tokens.c.id == token_id).values(agent_id=agent_id))

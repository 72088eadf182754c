"""`api/agents`: the agents, for everyone whether they are well, for admins everything."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from sqlalchemy.engine import RowMapping

from adaptery.errors import NotFoundError
from adaptery.schemas.agents import Agent, JoinToken, JoinTokenCreate
from adaptery.schemas.common import Page
from adaptery_hub.database.statements import agents as statements
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of, fleet_of
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

_State = Literal["joined", "live", "gone", "revoked"]


class AgentsHandler(Handler):
    """All agents."""

    async def get(self) -> None:
        """List agents, newest first."""
        after, limit = self.page()
        rows = await self.services.db.read(statements.list_agents)
        chosen = [row for row in rows if after is None or row["id"] < after][: limit + 1]
        self.answer_page([describe(self, row) for row in chosen], limit)


class AgentHandler(Handler):
    """One agent."""

    async def get(self, agent: str) -> None:
        """Answer the agent."""
        self.check_query()
        row = await self.services.db.read(lambda c: statements.get(c, agent))
        if row is None:
            raise NotFoundError()
        self.answer(describe(self, row))

    async def delete(self, agent: str) -> None:
        """Revoke the agent and cut its connection."""
        await fleet_of(self).revoke(agent, self.identity.tenant_id)
        self.answer_nothing()


class JoinTokensHandler(Handler):
    """One-time tokens that agents join with."""

    async def post(self) -> None:
        """Make a join token; it is shown once."""
        wanted = self.body(JoinTokenCreate)
        life = timedelta(seconds=wanted.expires_seconds)
        roster = fleet_of(self).roster
        token = await roster.mint(self.identity.tenant_id, wanted.labels, life)
        self.answer(
            JoinToken(
                id=token.id,
                token=token.text,
                command=f"adaptery agent join {token.url} --state agent --token {token.text}",
                expires_at=token.expires_at,
                created_at=token.created_at,
            )
        )


def describe(handler: Handler, row: RowMapping) -> Agent:
    """Returns an agent as this caller may see it: only admins see whose it is and how loaded."""
    fleet = compute_of(handler).fleet
    view = fleet.live.get(row["id"]) if fleet is not None else None
    admin = "admin" in handler.identity.scopes
    return Agent(
        id=row["id"],
        owner=row["owner"] if admin else "",
        labels=tuple(row["labels"]) if admin else (),
        state=_state(row, view),
        last_seen_at=view.last_seen_at if view is not None else row["last_seen_at"],
        slots=_slots(view),
        base_models=_base_models(view),
        embedding_models=_embedding_models(view),
        load=_load(view) if admin else None,
        version=view.beat.version if admin and view is not None else None,
        created_at=row["created_at"],
    )


def _state(row: RowMapping, view: AgentView | None) -> _State:
    return row["state"] if view is None or row["state"] == "revoked" else view.state


def _slots(view: AgentView | None) -> dict[str, object] | None:
    if view is None:
        return None
    return {"workers": view.beat.workers, "free": view.beat.workers_free}


def _base_models(view: AgentView | None) -> tuple[dict[str, object], ...]:
    if view is None:
        return ()
    return tuple({"name": m.name, "weight_digest": m.weight_digest} for m in view.beat.base_models)


def _embedding_models(view: AgentView | None) -> tuple[dict[str, object], ...]:
    if view is None:
        return ()
    return tuple(
        {
            "name": model.name,
            "weight_digest": model.weight_digest,
            "dimensions": model.dimensions,
            "max_tokens": model.max_tokens,
            "state": model.state,
        }
        for model in view.beat.embedding_models
    )


def _load(view: AgentView | None) -> dict[str, object] | None:
    if view is None:
        return None
    engine = view.beat.engine
    return {
        **view.beat.load,
        "engine": {
            "state": engine.state,
            "running": engine.running,
            "waiting": engine.waiting,
            "adapters": len(engine.adapters),
            "tokens_per_second": engine.tokens_per_second,
        },
    }


ROUTES = [
    Route(
        "api/agents",
        AgentsHandler,
        {"GET": Operation("read", "The agents.", response=Page[Agent], query=PAGE_QUERY)},
    ),
    Route(
        "api/agents/tokens",
        JoinTokensHandler,
        {
            "POST": Operation(
                "admin",
                "Make a one-time token that an agent joins with.",
                request=JoinTokenCreate,
                response=JoinToken,
                status=201,
            )
        },
    ),
    Route(
        "api/agents/{agent}",
        AgentHandler,
        {
            "GET": Operation("read", "One agent.", response=Agent),
            "DELETE": Operation("admin", "Revoke an agent.", status=204, fresh_identity=True),
        },
    ),
]

"""Agents of the service; most of it needs the admin scope."""

from __future__ import annotations

from collections.abc import Sequence

from adaptery.client.columns import AGENTS
from adaptery.client.connection import Connection, path_of
from adaptery.client.listing import Listing
from adaptery.schemas.agents import Agent, JoinToken, JoinTokenCreate
from adaptery.schemas.common import parse

__all__ = ["Agents"]


class Agents:
    """The agents that the service knows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Listing[Agent]:
        """Return the agents with their state and load.

        Raises:
            AdapteryError: what the service raised.
        """
        found = self._connection.pages("api/agents", Agent, lambda agent: agent.id)
        return Listing(found, "agent", AGENTS, "create_token() lets a host join.")

    def get(self, agent: str) -> Agent:
        """Return an agent by id.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get(path_of("api", "agents", agent), Agent)

    def create_token(
        self, labels: Sequence[str] = (), expires_seconds: int | None = None
    ) -> JoinToken:
        """Mint a one-time token that lets a host join; it is shown only here.

        Raises:
            InvalidInputError: if a label or the time is not one that the service takes.
            NotAllowedError: without the admin scope.
            AdapteryError: what the service raised.
        """
        wanted: dict[str, object] = {"labels": list(labels)}
        if expires_seconds is not None:
            wanted["expires_seconds"] = expires_seconds
        body = parse(JoinTokenCreate, wanted)
        return self._connection.post("api/agents/tokens", JoinToken, body.model_dump(mode="json"))

    def revoke(self, agent: str) -> None:
        """Revoke an agent: its connection is cut and its card is no longer valid.

        Raises:
            NotAllowedError: without the admin scope.
            AdapteryError: what the service raised.
        """
        self._connection.send("DELETE", path_of("api", "agents", agent))

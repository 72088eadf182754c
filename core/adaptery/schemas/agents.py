"""Agents, the one-time tokens they join with, and who the caller is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptery.schemas.common import Answer, Instant, JsonObject, Model

__all__ = ["Agent", "JoinToken", "JoinTokenCreate", "TenantCard", "Whoami"]

Label = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9:._-]{0,63}$")]

JOIN_TOKEN_SECONDS = 3600  # default life of a join token
JOIN_TOKEN_SECONDS_LIMIT = 7 * 24 * 3600


class Agent(Answer):
    """The daemon of a compute host, as the service last heard of it."""

    id: str
    owner: str
    labels: tuple[str, ...]
    state: Literal["joined", "live", "gone", "revoked"]
    last_seen_at: Instant | None
    slots: JsonObject | None
    base_models: tuple[JsonObject, ...]
    embedding_models: tuple[JsonObject, ...] = ()
    load: JsonObject | None
    version: str | None
    created_at: Instant


class JoinTokenCreate(Model):
    """What an admin decides about a join token."""

    labels: tuple[Label, ...] = Field(default=(), max_length=32)
    expires_seconds: int = Field(default=JOIN_TOKEN_SECONDS, ge=60, le=JOIN_TOKEN_SECONDS_LIMIT)


class JoinToken(Answer):
    """A one-time token; it is shown once, here."""

    id: str
    token: str
    command: str
    expires_at: Instant
    created_at: Instant


class TenantCard(Answer):
    """An owner of things: a Hub user or a Hub group."""

    id: str
    kind: Literal["user", "group"]
    slug: str
    hub_name: str


class Whoami(Answer):
    """Who the service takes the caller for, and what the token may do."""

    id: str
    name: str
    tenant: str
    groups: tuple[str, ...]
    scopes: tuple[str, ...]
    token_kind: str
    created_at: Instant | None = None
    #: Where the service is: an address, or a path on the Hub that the reader knows it by.
    url: str = ""

"""The roster: which agents there are, by their signed cards, and the tokens they join with.

Cards, never the broker, are what is trusted: an agent whose card does not open under our own key,
or has ended, does not exist. Not here: who is alive (`live`), cutting connections (`fleet`).

Invariants:
- A join token is stored as a hash, is good for one agent, and has an end.
- An agent is stored before it is told that it joined.
- A revoked agent never comes back under the same id.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection, RowMapping

from adaptery.digests import sha256_bytes
from adaptery.errors import IntegrityError, NotFoundError, RefusedError
from adaptery.ids import new_id
from adaptery.sealed import AgentCard, JsonObject, open_card
from adaptery.signing import VerifyKey
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database import Database
from adaptery_hub.database.statements import agents as statements
from adaptery_network.broker import NetworkIdentity
from adaptery_network.join import JoinedAgent, mint_join_token

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownAgent:
    """An agent with its opened card and the key that signs its heartbeats."""

    card: AgentCard
    identity_key: VerifyKey
    user_key: str | None
    signed_card: JsonObject = field(repr=False)


@dataclass(frozen=True)
class MintedToken:
    """A join token; `text` is shown once and stored nowhere."""

    id: str
    text: str
    url: str
    created_at: datetime
    expires_at: datetime


class Roster:
    """All agents that may be trusted."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        identity: NetworkIdentity,
        broker_url: str,
        clock: Clock = now,
    ) -> None:
        self._database = database
        self._audit = audit
        self._identity = identity
        self._broker_url = broker_url
        self._clock = clock
        self._issuer = identity.signing_key.verify_key
        self._known: dict[str, KnownAgent] = {}

    def get(self, agent_id: str) -> KnownAgent | None:
        """Returns an agent that may be trusted."""
        return self._known.get(agent_id)

    def has_label(self, label: str) -> bool:
        """Whether any agent that may be trusted carries this label."""
        return any(label in known.card.labels for known in self._known.values())

    def card(self, agent_id: str) -> AgentCard:
        """Returns the card of an agent.

        Raises:
            NotFoundError: There is no such agent, or it was revoked.
        """
        known = self._known.get(agent_id)
        if known is None:
            raise NotFoundError("There is no such agent.")
        return known.card

    async def load(self) -> None:
        """Reads all agents from the database."""
        for row in await self._database.read(statements.list_agents):
            self._take(row)

    async def look_up(self, agent_id: str) -> KnownAgent | None:
        """Returns an agent, also one that joined through another process of the service."""
        if agent_id not in self._known:
            row = await self._database.read(lambda c: statements.get(c, agent_id))
            if row is not None:
                self._take(row)
        return self._known.get(agent_id)

    async def mint(
        self, creator_id: str | None, labels: Sequence[str], life: timedelta
    ) -> MintedToken:
        """Makes a one-time join token."""
        token_id, created_at = new_id("jt"), self._clock()
        expires_at = created_at + life
        token = mint_join_token(self._identity, self._broker_url, token_id, expires_at)

        def store(connection: Connection) -> None:
            statements.insert_token(
                connection,
                token_id=token_id,
                creator_id=creator_id,
                secret_hash=_hash(token.secret),
                labels=labels,
                expires_at=expires_at,
                now=created_at,
            )
            details = {"labels": list(labels), "seconds": int(life.total_seconds())}
            entry = AuditEntry("agent.token", creator_id, token_id, details)
            self._audit.append(connection, entry)

        await self._database.write(store)
        return MintedToken(token_id, token.to_text(), token.url, created_at, expires_at)

    async def redeem(self, token_id: str, secret: str) -> Sequence[str]:
        """Uses a join token up; returns the labels that go with it.

        Raises:
            RefusedError: There is no such token, or it was used, or it has expired.
        """
        return await self._database.write(lambda c: self._redeem(c, token_id, secret))

    async def enrol(self, joined: JoinedAgent) -> None:
        """Stores a new agent."""
        await self._database.write(lambda c: self._enrol(c, joined))
        self._known[joined.card.agent] = KnownAgent(
            joined.card,
            VerifyKey.from_text(joined.card.identity_key),
            joined.user_key,
            joined.signed_card,
        )
        logs.log(logger, logging.INFO, "agent_joined", agent=joined.card.agent)

    async def revoke(self, agent_id: str, actor_id: str) -> KnownAgent:
        """Strikes an agent off; returns what it was, so that its connection can be cut.

        Raises:
            NotFoundError: There is no such agent, or it was revoked already.
        """
        known = await self.look_up(agent_id)
        if known is None:
            raise NotFoundError("There is no such agent.")

        def strike(connection: Connection) -> None:
            statements.set_state(connection, agent_id, "revoked")
            self._audit.append(connection, AuditEntry("agent.revoke", actor_id, agent_id))

        await self._database.write(strike)
        self._known.pop(agent_id, None)
        return known

    def _take(self, row: RowMapping) -> None:
        if row["state"] == "revoked":
            return
        try:
            card = open_card(row["card"], self._issuer, self._clock())
            key = VerifyKey.from_text(card.identity_key)
        except IntegrityError:
            logs.log(logger, logging.WARNING, "agent_card_refused", agent=row["id"])
            return
        self._known[row["id"]] = KnownAgent(card, key, row["broker_key"], row["card"])

    def _redeem(self, connection: Connection, token_id: str, secret: str) -> Sequence[str]:
        row = statements.get_token(connection, token_id)
        if row is None or not hmac.compare_digest(row["secret_hash"], _hash(secret)):
            raise RefusedError(reason="token")
        if not statements.use_token(connection, token_id, self._clock()):
            raise RefusedError(reason="token_used")
        return list(row["labels"])

    def _enrol(self, connection: Connection, joined: JoinedAgent) -> None:
        card = joined.card
        statements.insert_agent(
            connection,
            agent_id=card.agent,
            owner=card.owner,
            labels=card.labels,
            card=joined.signed_card,
            broker_key=joined.user_key,
            now=self._clock(),
        )
        statements.bind_token(connection, joined.token_id, card.agent)
        details = {"labels": list(card.labels), "token": joined.token_id}
        self._audit.append(connection, AuditEntry("agent.join", None, card.agent, details))


def _hash(secret: str) -> str:
    return sha256_bytes(secret.encode())

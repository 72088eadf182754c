"""Who is meant by a Hub name: the tenant that had it before, or another who comes after it.

A Hub user is a name and the time of its creation. Of two of one name, the later one has the name
now; the earlier one is gone, and its tenant is *dormant*: what it owns stays where it is, what
others were given of that stays given, its own keys have ended, and nobody acts as it.

Invariants:

- Whoever comes after a dormant tenant gets a tenant of their own, with another id and another slug.
  Nothing passes to them: no thing, no grant, no group's things, no key.
- A tenant of a user takes its time of creation from the Hub and keeps it. Without one, nobody is
  let in, and nothing is minted.
- Nothing here believes that somebody is earlier: that is an old token, or an old Hub.
- Each tenant that falls asleep or wakes is a row of the audit.

Groups carry no time. A group that the Hub has no more is found by looking (`hub_watch`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from adaptery.errors import NotAllowedError, UnavailableError
from adaptery.times import Clock, now
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.database.statements.tenants import ACTIVE, EXPECTED, Row

#: A dormant user is not woken before this: until then it may be an answer from before it was gone.
WAKE_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class HubName:
    """Whom the Hub names."""

    kind: str  # user | group | service
    name: str
    created_at: datetime | None = None  # of a user


class Succession:
    """Finds, mints and retires the tenants of Hub names, in the transaction of the caller."""

    def __init__(self, audit: AuditLog, reserved: Collection[str] = (), clock: Clock = now) -> None:
        self._audit = audit
        self._reserved = frozenset(reserved)
        self._clock = clock

    def tenant_of(self, connection: Connection, name: HubName) -> Row:
        """Return who has this name now, minted if nobody has it.

        Raises:
            NotAllowedError: somebody later has the name, or the user was gone a moment ago.
            UnavailableError: the Hub did not say when a user was created.
        """
        if name.kind == "user" and name.created_at is None:
            raise UnavailableError("JupyterHub did not say who you are.", hint="Try again later.")
        place = (name.kind, name.name)
        known = statements.find(connection, [place]).get(place)
        if known is None:
            return self._come_back(connection, name) or self._mint(connection, name)
        if _is_same(known, name):
            return self._recognise(connection, known, name)
        if name.created_at is not None and name.created_at < known["hub_created_at"]:
            raise _somebody_later()
        self.retire(connection, known, "user_replaced")
        return self._come_back(connection, name) or self._mint(connection, name)

    def expect(self, connection: Connection, hub_name: str, created_at: datetime | None) -> Row:
        """Return the tenant of a user whom the service has not seen, made for a grant.

        Args:
            connection: an open transaction.
            hub_name: the exact name.
            created_at: when the Hub made the user, if it has one: then only that one is expected.
        """
        return statements.insert(
            connection,
            "user",
            hub_name,
            EXPECTED,
            hub_created_at=created_at,
            reserved=self._reserved,
        )

    def retire(
        self,
        connection: Connection,
        tenant: Row,
        reason: str,
        by: str | None = None,
        request_id: str | None = None,
    ) -> bool:
        """Let a tenant be dormant; return whether it was not until now.

        Args:
            connection: an open transaction.
            tenant: whom.
            reason: a word for the audit.
            by: the administrator who does it; None: the service found out.
            request_id: of the administrator's request.
        """
        if not statements.put_to_sleep(connection, tenant["id"], self._clock()):
            return False
        self._note(connection, "tenant.dormant", tenant, reason, by, request_id)
        return True

    def _mint(self, connection: Connection, name: HubName) -> Row:
        return statements.insert(
            connection,
            name.kind,
            name.name,
            ACTIVE,
            hub_created_at=name.created_at,
            reserved=self._reserved,
        )

    def _recognise(self, connection: Connection, known: Row, name: HubName) -> Row:
        if known["state"] == EXPECTED:
            return self._wake(connection, known, name)
        if known["hub_created_at"] is None and name.created_at is not None:
            statements.stamp(connection, known["id"], name.created_at)
        return {**known, "hub_created_at": name.created_at}

    def _wake(self, connection: Connection, known: Row, name: HubName) -> Row:
        statements.wake(connection, known["id"], name.created_at)
        return {**known, "state": ACTIVE, "hub_created_at": name.created_at}

    def _come_back(self, connection: Connection, name: HubName) -> Row | None:
        """Wake the very user who was gone, as after a Hub that was put back from its backup.

        Raises:
            NotAllowedError: that was a moment ago.
        """
        if name.kind != "user" or name.created_at is None:
            return None
        moment = self._clock()
        known = statements.find_dormant(connection, name.name, name.created_at, moment)
        if known is None:
            return None
        if statements.find_dormant(connection, name.name, name.created_at, moment - WAKE_AFTER):
            self._note(connection, "tenant.wake", known, "user_is_back")
            return self._wake(connection, known, name)
        raise _somebody_later()

    def _note(
        self,
        connection: Connection,
        action: str,
        tenant: Row,
        reason: str,
        by: str | None = None,
        request_id: str | None = None,
    ) -> None:
        details = {"kind": tenant["kind"], "name": tenant["hub_name"], "reason": reason}
        entry = AuditEntry(action, by, tenant["id"], details, request_id)
        self._audit.append(connection, entry)


def _is_same(known: Row, name: HubName) -> bool:
    # No time: of the first release, which asked no further, or named in a grant only.
    return name.kind != "user" or known["hub_created_at"] in (None, name.created_at)


def _somebody_later() -> NotAllowedError:
    return NotAllowedError(
        "The account that this token was made for is gone from JupyterHub, or another has its "
        "name now.",
        hint="Log in again; if that does not help, ask an administrator.",
    )

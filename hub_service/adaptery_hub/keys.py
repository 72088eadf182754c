"""Own keys: made, rotated and revoked by their owners, and turned into identities.

Not here: how much a key may do (`key_limits`), and what its identity may reach: the route table
opens a few operations to keys, and `permissions` narrows the owner's rights to the key's adapters.

Invariants:
- A secret exists in the answer that shows it and nowhere else: the database holds its hash.
- A key is looked up for each request and cached nowhere, so a revoked, rotated or expired one is
  dead for every replica at its next request.
- Keys that never were, have ended or were rotated away look the same to whoever sends them.
- A key is never more than its maker was: verbs are among the scopes of the token that made it, and
  adapters among those its owner could use then and can use now.
- Its owner is the user whom the Hub knows by that name and that time of creation; of anybody who
  came after them under the same name, the key knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection, RowMapping

from adaptery import key_secrets
from adaptery.errors import (
    ConflictError,
    FieldProblem,
    InvalidInputError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    QuotaError,
)
from adaptery.schemas.keys import KeyCreate
from adaptery.times import Clock, now
from adaptery_hub.database import Database
from adaptery_hub.database.statements import keys as statements
from adaptery_hub.hub_users import HubUser
from adaptery_hub.identity import Identity, IdentitySource, KeyHold
from adaptery_hub.tenants import Tenants

#: The scope that a verb needs of the token that makes the key, where it has another name.
VERB_SCOPES: Mapping[str, str] = {"embed": "infer"}
NOT_IN_FORCE = "This key is not in force: it was revoked or rotated, or it has expired."
NOT_IN_FORCE_HINT = "Make a new one, or rotate it."
#: How often the last use of a key is written down.
USE_NOTED_SECONDS = 60.0

#: Writes down what is done, in the transaction that does it: action, key, details.
Audit = Callable[[Connection, str, str, Mapping[str, str | int]], None]


@dataclass(frozen=True)
class KeyRules:
    """What the administrator allows."""

    max_days: int
    max_per_tenant: int


@dataclass(frozen=True)
class Made:
    """A key whose secret is about to be shown."""

    row: RowMapping
    secret: str


class Keys:
    """The own keys of all users."""

    def __init__(
        self,
        database: Database,
        identities: IdentitySource,
        tenants: Tenants,
        rules: KeyRules,
        clock: Clock = now,
    ) -> None:
        self._database = database
        self._identities = identities
        self._tenants = tenants
        self._rules = rules
        self._clock = clock

    async def identify(self, secret: str) -> Identity:
        """Return who acts with this key: its owner, narrowed to the key.

        Raises:
            NotAuthenticatedError: it is no key, or none that is in force.
            UnavailableError: the Hub did not say what groups the owner is in.
        """
        if not key_secrets.is_well_formed(secret):
            raise NotAuthenticatedError(
                "This is not a whole key: characters are missing, added or mistyped.",
                hint="Copy it again; a key is ak- and 49 letters and digits.",
            )
        secret_hash, moment = key_secrets.hash_secret(secret), self._clock()
        row = await self._database.look_up(lambda c: statements.by_hash(c, secret_hash, moment))
        if row is None:
            raise NotAuthenticatedError(NOT_IN_FORCE, hint=NOT_IN_FORCE_HINT)
        await self._note_use(row, moment)
        owner = await self._identities.user(row["hub_name"])
        return await self._narrowed(row, owner, secret_hash)

    async def create(
        self, identity: Identity, wanted: KeyCreate, adapters: Collection[str], audit: Audit
    ) -> Made:
        """Make a key for these adapters (ids, which the caller may use).

        Raises:
            NotAllowedError: the caller is no user, or lacks a scope that the key would have.
            InvalidInputError: the key would live too long.
            QuotaError: the caller has too many keys.
        """
        _check_maker(identity, wanted)
        moment = self._clock()
        secret = key_secrets.make_secret()
        values = {
            "tenant_id": identity.tenant_id,
            "creator_id": identity.tenant_id,
            "name": wanted.name,
            "secret_hash": key_secrets.hash_secret(secret),
            "prefix": key_secrets.shown_start(secret),
            "adapters": sorted(adapters),
            "verbs": sorted(set(wanted.verbs)),
            "tokens_per_day": wanted.tokens_per_day,
            "requests_per_minute": wanted.requests_per_minute,
            "expires_at": moment + timedelta(days=self._days(wanted.expires_in_days)),
        }

        def insert(connection: Connection) -> RowMapping:
            self._check_count(connection, identity.tenant_id, moment)
            key_id = statements.insert(connection, values, moment)
            details = {"name": wanted.name, "adapters": len(adapters)}
            audit(connection, "key.create", key_id, details)
            return _row(connection, key_id, identity.tenant_id)

        return Made(await self._database.write(insert), secret)

    async def rotate(
        self, identity: Identity, key_id: str, overlap_minutes: int, audit: Audit
    ) -> Made:
        """Give a key of the caller a new secret; the present one works for the overlap.

        Raises:
            NotFoundError: the caller has no such key.
            ConflictError: the key has ended.
        """
        secret, moment = key_secrets.make_secret(), self._clock()

        def change(connection: Connection) -> RowMapping:
            row = _row(connection, key_id, identity.tenant_id)
            if row["revoked_at"] is not None or row["expires_at"] <= moment:
                raise ConflictError("This key has ended.", hint="Make a new one.")
            until = moment + timedelta(minutes=overlap_minutes) if overlap_minutes else None
            hashed, start = key_secrets.hash_secret(secret), key_secrets.shown_start(secret)
            statements.rotate(connection, key_id, hashed, start, until)
            audit(connection, "key.rotate", key_id, {"overlap_minutes": overlap_minutes})
            return _row(connection, key_id, identity.tenant_id)

        return Made(await self._database.write(change), secret)

    async def revoke(self, identity: Identity, key_id: str, audit: Audit) -> None:
        """End a key of the caller, or anybody's if the caller is an administrator.

        Raises:
            NotFoundError: the caller has no such key.
        """
        owner = None if "admin" in identity.scopes else identity.tenant_id

        def change(connection: Connection) -> None:
            row = _row(connection, key_id, owner)
            if statements.revoke(connection, key_id, self._clock()):
                audit(connection, "key.revoke", key_id, {"owner": row["tenant_id"]})

        await self._database.write(change)

    async def _narrowed(self, row: RowMapping, owner: HubUser | None, secret_hash: str) -> Identity:
        same = owner is not None and _same_person(row["hub_created_at"], owner.created_at)
        groups = owner.groups if owner is not None and same else ()
        tenants = await self._tenants.of_groups(groups)
        hold = KeyHold(
            id=row["id"],
            secret_hash=secret_hash,
            adapters=tuple(row["adapters"]) if same else (),
            tokens_per_day=row["tokens_per_day"],
            requests_per_minute=row["requests_per_minute"],
        )
        return Identity(
            tenant_id=row["tenant_id"],
            hub_name=row["hub_name"],
            slug=row["slug"],
            groups=tuple(tenant.hub_name for tenant in tenants),
            group_tenants=tuple(tenant.id for tenant in tenants),
            group_slugs=tuple(tenant.slug for tenant in tenants),
            scopes=frozenset(row["verbs"]),
            token_kind="key",  # noqa: S106 - a kind, not a secret
            key=hold,
        )

    async def _note_use(self, row: RowMapping, moment: datetime) -> None:
        before = moment - timedelta(seconds=USE_NOTED_SECONDS)
        if row["last_used_at"] is None or row["last_used_at"] < before:
            await self._database.write(lambda c: statements.note_use(c, row["id"], moment, before))

    def _days(self, wanted: int | None) -> int:
        limit = self._rules.max_days
        if wanted is not None and wanted > limit:
            problem = FieldProblem(
                "expires_in_days", f"is more than {limit} days.", f"Use 1 to {limit}."
            )
            raise InvalidInputError(errors=[problem])
        return wanted if wanted is not None else limit

    def _check_count(self, connection: Connection, tenant_id: str, moment: datetime) -> None:
        limit = self._rules.max_per_tenant
        if statements.count_in_force(connection, tenant_id, moment) >= limit:
            raise QuotaError(
                f"You have {limit} keys, which is the limit.", hint="Revoke one that is not used."
            )


def is_in_force(connection: Connection, key: KeyHold) -> bool:
    """Whether the secret that a request came with is still one of its key."""
    return statements.by_hash(connection, key.secret_hash, now()) is not None


def _row(connection: Connection, key_id: str, tenant_id: str | None) -> RowMapping:
    row = statements.get(connection, key_id, tenant_id)
    if row is None:
        raise NotFoundError(hint="GET api/keys lists your keys.")
    return row


def _check_maker(identity: Identity, wanted: KeyCreate) -> None:
    if identity.kind != "user":
        raise NotAllowedError("Only users have keys.", hint="A Hub service has its own token.")
    if missing := {VERB_SCOPES.get(verb, verb) for verb in wanted.verbs} - identity.scopes:
        raise NotAllowedError(
            f"A key cannot do more than the token that makes it, which lacks: "
            f"{', '.join(sorted(missing))}.",
            hint="Use a token that has it.",
        )


def _same_person(known: datetime | None, now_said: datetime | None) -> bool:
    """Whether the Hub's user is still the one that it was; what it never said decides nothing."""
    return known is None or now_said is None or known == now_said

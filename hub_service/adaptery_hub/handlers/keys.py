"""`api/keys`: own keys for programs outside the Hub.

A secret is in the answer to its making and to a rotation, and in no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, NotAllowedError, NotFoundError
from adaptery.ids import is_id
from adaptery.schemas.common import Page
from adaptery.schemas.keys import Key, KeyAdapter, KeyCreate, KeyRotate, NewKey
from adaptery.times import now
from adaptery_hub.database.statements import adapters as adapter_statements
from adaptery_hub.database.statements import keys as statements
from adaptery_hub.full_names import full_name
from adaptery_hub.gateway.resolution import find_adapter
from adaptery_hub.handlers.base import Handler
from adaptery_hub.key_limits import midnight
from adaptery_hub.keys import Made
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

EVERYONE = "everyone"


class _KeyHandler(Handler):
    def note(
        self, connection: Connection, action: str, key_id: str, details: Mapping[str, str | int]
    ) -> None:
        """Write down what is done with a key; see `keys.Audit`."""
        self.audit(connection, action, key_id, **details)

    async def show(self, made: Made) -> None:
        """Answer a key with its secret."""
        (shown,) = await self.described([made.row])
        self.answer(NewKey(**shown.model_dump(), secret=made.secret))

    async def described(self, rows: Sequence[RowMapping]) -> list[Key]:
        """Return keys as the API shows them."""
        names, today = await self.names_of(rows), midnight(now())
        ids = [row["id"] for row in rows]
        spent = await self.services.db.read(lambda c: statements.spent_by_each(c, ids, today))
        return [describe_key(row, names, spent.get(row["id"], 0)) for row in rows]

    async def names_of(self, rows: Sequence[RowMapping]) -> dict[str, str]:
        """Return the names of the adapters of these keys, as far as the caller may use them."""
        ids = {adapter for row in rows for adapter in row["adapters"]}
        found = await self.services.db.read(
            lambda c: adapter_statements.usable_of(c, self.identity, ids)
        )
        return {
            id: full_name(row["tenant_kind"], row["slug"], row["name"], row["number"])
            for id, row in found.items()
        }


class KeysHandler(_KeyHandler):
    """Keys of the caller."""

    async def get(self) -> None:
        """List keys, newest first."""
        after, limit = self.page()
        everyone = self.one_of("of", (EVERYONE,)) is not None
        if everyone and "admin" not in self.identity.scopes:
            raise NotAllowedError("Only administrators see the keys of everyone.")
        owner = None if everyone else self.identity.tenant_id
        rows = await self.services.db.read(lambda c: statements.list_keys(c, owner, after, limit))
        self.answer_page(await self.described(rows), limit)

    async def post(self) -> None:
        """Make a key and show its secret, once."""
        wanted = self.body(KeyCreate)
        adapters = [await self._adapter(index, name) for index, name in enumerate(wanted.adapters)]
        made = await self.services.keys.create(self.identity, wanted, set(adapters), self.note)
        await self.show(made)

    async def _adapter(self, index: int, text: str) -> str:
        """Return the id of an adapter that the caller may use.

        Raises:
            NotFoundError: There is none of that name or id.
        """
        identity = self.identity
        if is_id(text, "ad"):
            row = await self.services.db.read(
                lambda c: adapter_statements.find_usable(c, identity, adapter_id=text)
            )
        else:
            row = await self.services.db.read(lambda c: find_adapter(c, identity, text))
        if row is None:
            problem = FieldProblem(f"adapters.{index}", "is none that you may use.", "Check it.")
            raise NotFoundError(
                "There is no such adapter, or you may not use it.", errors=[problem]
            )
        return row["id"]


class KeyHandler(_KeyHandler):
    """One key."""

    async def delete(self, key: str) -> None:
        """Revoke the key; it stays in the list."""
        await self.services.keys.revoke(self.identity, key, self.note)
        self.services.admissions.recheck_all()
        self.answer_nothing()


class KeyRotateHandler(_KeyHandler):
    """The secret of one key."""

    async def post(self, key: str) -> None:
        """Make a new secret and show it, once."""
        overlap = self.body(KeyRotate).overlap_minutes
        made = await self.services.keys.rotate(self.identity, key, overlap, self.note)
        self.services.admissions.recheck_all()
        await self.show(made)


def describe_key(row: RowMapping, names: Mapping[str, str], tokens_today: int) -> Key:
    """Return a key as the API shows it."""
    return Key(
        id=row["id"],
        name=row["name"],
        owner=f"@{row['slug']}",
        prefix=row["prefix"],
        adapters=tuple(KeyAdapter(id=id, name=names.get(id)) for id in row["adapters"]),
        verbs=tuple(row["verbs"]),
        tokens_per_day=row["tokens_per_day"],
        tokens_today=tokens_today,
        requests_per_minute=row["requests_per_minute"],
        expires_at=row["expires_at"],
        overlap_until=row["old_secret_until"],
        last_used_at=row["last_used_at"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


ROUTES = [
    Route(
        "api/keys",
        KeysHandler,
        {
            "GET": Operation(
                "read",
                "My own keys, newest first, also those that have ended; never a secret.",
                response=Page[Key],
                query={
                    **PAGE_QUERY,
                    "of": "`everyone`: the keys of all users, for administrators.",
                },
            ),
            "POST": Operation(
                "write",
                "Make an own key; its secret is shown here and never again.",
                request=KeyCreate,
                response=NewKey,
                status=201,
                fresh_identity=True,
            ),
        },
    ),
    Route(
        "api/keys/{key}",
        KeyHandler,
        {
            "DELETE": Operation(
                "write",
                "Revoke a key, at once; administrators may revoke anybody's.",
                status=204,
                fresh_identity=True,
            )
        },
    ),
    Route(
        "api/keys/{key}/rotate",
        KeyRotateHandler,
        {
            "POST": Operation(
                "write",
                "Give a key a new secret, shown here and never again.",
                request=KeyRotate,
                response=NewKey,
                fresh_identity=True,
            )
        },
    ),
]

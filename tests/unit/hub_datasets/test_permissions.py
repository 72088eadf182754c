"""The predicate: what is listed is exactly what may be fetched, for every rule and every table."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from adaptery.errors import NotAllowedError, NotFoundError
from adaptery.times import now
from adaptery_hub.database import Database, tables
from adaptery_hub.database.migrations import migrate
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, fetch, right_of, visible

OWNER, MEMBER, OTHER, GROUP = "tn_owner", "tn_member", "tn_other", "tn_group"


def identity(tenant: str, *groups: str) -> Identity:
    return Identity(
        tenant_id=tenant,
        hub_name=tenant,
        slug=tenant,
        groups=groups,
        group_tenants=groups,
        group_slugs=groups,
        scopes=frozenset({"read"}),
        token_kind="token",
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    migrate(database.engine)
    moment = {"created_at": now()}
    with database.engine.begin() as connection:
        for tenant in (OWNER, MEMBER, OTHER, GROUP):
            kind = "group" if tenant == GROUP else "user"
            values = {"kind": kind, "hub_name": tenant, "slug": tenant, "state": "active"}
            connection.execute(sa.insert(tables.tenants).values(id=tenant, **moment, **values))
        for owner, creator in itertools.product((OWNER, GROUP), (OWNER, MEMBER)):
            if owner in (creator, GROUP):
                dataset = f"ds_{owner}_{creator}"
                connection.execute(
                    sa.insert(tables.datasets).values(
                        id=dataset,
                        tenant_id=owner,
                        creator_id=creator,
                        name=dataset,
                        sensitivity="internal",
                        description="",
                        updated_at=now(),
                        **moment,
                    )
                )
                connection.execute(
                    sa.insert(tables.files).values(
                        id=f"fi_{dataset}",
                        dataset_id=dataset,
                        creator_id=creator,
                        name="x",
                        state="ready",
                        **moment,
                    )
                )
    yield database
    database.close()


def rights(database: Database, caller: Identity, table: sa.Table) -> dict[str, int]:
    statement = sa.select(table.c.id, right_of(table, caller))
    return {row[0]: row[1] for row in database.read_now(lambda c: c.execute(statement).all())}


def grant(database: Database, thing: str, principal: str, right: Right) -> None:
    values = {"thing_id": thing, "principal_id": principal, "right": int(right)}
    statement = sa.insert(tables.grants).values(
        id=f"gr_{thing}_{principal}", created_at=now(), creator_id=OWNER, **values
    )
    database.write_now(lambda c: c.execute(statement))


def test_owners_members_and_creators(database: Database) -> None:
    own, by_owner, by_member = (
        "ds_tn_owner_tn_owner",
        "ds_tn_group_tn_owner",
        "ds_tn_group_tn_member",
    )
    expected = {
        identity(OWNER): {own: 4, by_owner: 0, by_member: 0},
        identity(OWNER, GROUP): {own: 4, by_owner: 4, by_member: 3},
        identity(MEMBER, GROUP): {own: 0, by_owner: 3, by_member: 4},
        identity(MEMBER): {own: 0, by_owner: 0, by_member: 0},
        identity(OTHER): {own: 0, by_owner: 0, by_member: 0},
    }
    for caller, wanted in expected.items():
        assert rights(database, caller, tables.datasets) == wanted
        files = rights(database, caller, tables.files)
        assert files == {f"fi_{dataset}": right for dataset, right in wanted.items()}


def test_grants_add_and_never_subtract(database: Database) -> None:
    own, shared = "ds_tn_owner_tn_owner", "ds_tn_group_tn_owner"
    grant(database, own, OTHER, Right.VIEW)
    grant(database, own, GROUP, Right.EDIT)
    grant(database, shared, MEMBER, Right.USE)
    assert rights(database, identity(OTHER), tables.datasets)[own] == Right.VIEW
    assert rights(database, identity(OTHER, GROUP), tables.datasets)[own] == Right.EDIT
    assert rights(database, identity(MEMBER, GROUP), tables.datasets)[shared] == Right.EDIT
    assert rights(database, identity(OWNER), tables.datasets)[own] == Right.MANAGE


def test_what_is_listed_is_what_may_be_fetched(database: Database) -> None:
    grant(database, "ds_tn_owner_tn_owner", OTHER, Right.USE)
    callers = [identity(OWNER, GROUP), identity(MEMBER, GROUP), identity(OTHER), identity(MEMBER)]
    for caller, right, table in itertools.product(callers, Right, (tables.datasets, tables.files)):
        statement = sa.select(table.c.id).where(visible(table, caller, right))
        listed = set(database.read_now(lambda c, s=statement: c.scalars(s).all()))
        everything = database.read_now(lambda c, t=table: c.scalars(sa.select(t.c.id)).all())
        for thing in everything:
            try:
                database.read_now(
                    lambda c, t=table, i=caller, x=thing, r=right: fetch(c, t, i, x, r)
                )
                assert thing in listed
            except (NotFoundError, NotAllowedError):
                assert thing not in listed


def test_the_unknown_and_the_forbidden_are_the_same(database: Database) -> None:
    problems = []
    for thing in ("ds_tn_owner_tn_owner", "ds_never_was", ""):
        with pytest.raises(NotFoundError) as caught:
            database.read_now(
                lambda c, x=thing: fetch(c, tables.datasets, identity(OTHER), x, Right.USE)
            )
        problems.append(caught.value.to_problem("rq_x"))
    assert problems[0] == problems[1] == problems[2]

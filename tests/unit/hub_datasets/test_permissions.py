"""The predicate: what is listed is exactly what may be fetched, for every rule and every table."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptery.errors import NotAllowedError, NotFoundError
from adaptery.times import now
from adaptery_hub.database import Database, tables
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, fetch, right_of, visible, within_reach
from support.examples import examples
from support.schema import open_database

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
    database = open_database(tmp_path / "test.sqlite")
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


# -- the rules in plain Python, against the SQL ----------------------------------------------------

USERS, GROUPS = ("tn_a", "tn_b", "tn_c"), ("tn_g", "tn_h")
TENANTS = (*USERS, *GROUPS)
SHARED = {"datasets": tables.datasets, "jobs": tables.jobs, "adapters": tables.adapters}


@dataclass(frozen=True)
class Thing:
    """One thing of the model; `there` is False of an adapter that is staged or deleted."""

    kind: str
    owner: str
    creator: str
    there: bool
    grants: tuple[tuple[str, Right], ...]


def model_right(thing: Thing, user: str, groups: tuple[str, ...]) -> int:
    """The rules of `permissions`, as one would tell them."""
    if not thing.there:
        return 0
    held = [0]
    if thing.owner == user:
        held.append(Right.MANAGE)
    if thing.owner in groups:
        held.append(Right.MANAGE if thing.creator == user else Right.EDIT)
    held += [right for principal, right in thing.grants if principal in (user, *groups)]
    return max(held)


def things_of_model() -> st.SearchStrategy[Thing]:
    granted = st.dictionaries(st.sampled_from(TENANTS), st.sampled_from(list(Right)), max_size=4)

    def build(kind: str, owner: str, creator: str, there: bool, grants: dict) -> Thing:
        maker = creator if owner in GROUPS else owner
        return Thing(kind, owner, maker, there or kind != "adapters", tuple(grants.items()))

    return st.builds(
        build,
        st.sampled_from(list(SHARED)),
        st.sampled_from(TENANTS),
        st.sampled_from(USERS),
        st.booleans(),
        granted,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(tmp_path_factory.mktemp("world") / "test.sqlite")
    with database.engine.begin() as connection:
        for tenant in TENANTS:
            kind = "group" if tenant in GROUPS else "user"
            values = {"kind": kind, "hub_name": tenant, "slug": tenant, "state": "active"}
            connection.execute(
                sa.insert(tables.tenants).values(id=tenant, created_at=now(), **values)
            )
    yield database
    database.close()


def write_model(connection: sa.Connection, things: list[Thing]) -> None:
    for table in (tables.grants, tables.files, tables.checkpoints, *SHARED.values()):
        connection.execute(sa.delete(table))
    digest, moment = "sha256:" + "0" * 64, now()
    for number, thing in enumerate(things):
        name = {"id": f"th_{number}", "name": f"n{number}", "created_at": moment}
        whose = {"tenant_id": thing.owner, "creator_id": thing.creator}
        rest: dict[str, object] = {
            "datasets": {"sensitivity": "internal", "description": "", "updated_at": moment},
            "jobs": {
                "task": "t",
                "task_digest": digest,
                "base_model": "b",
                "options": {},
                "state": "queued",
                "queue": "q",
                "updated_at": moment,
            },
            "adapters": {
                "number": 1,
                "base_model": "b",
                "base_weight_digest": digest,
                "weight_digest": digest,
                "sensitivity": "internal",
                "files": [],
                "content_digests": [],
                "card": {},
                "state": "completed" if thing.there else "deleted",
            },
        }[thing.kind]
        connection.execute(sa.insert(SHARED[thing.kind]).values(**name, **whose, **rest))
        child = {"id": f"ch_{number}", "created_at": moment}
        if thing.kind == "datasets":
            file = {"name": "x", "creator_id": thing.creator, "state": "ready"}
            connection.execute(
                sa.insert(tables.files).values(**child, dataset_id=name["id"], **file)
            )
        if thing.kind == "jobs":
            kept = {"step": 1, "digest": digest, "files": []}
            connection.execute(
                sa.insert(tables.checkpoints).values(**child, job_id=name["id"], **kept)
            )
        for principal, right in thing.grants:
            given = {"thing_id": name["id"], "principal_id": principal, "right": int(right)}
            connection.execute(
                sa.insert(tables.grants).values(
                    id=f"gr_{number}_{principal}", created_at=moment, creator_id=USERS[0], **given
                )
            )


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    things=st.lists(things_of_model(), max_size=8),
    user=st.sampled_from(USERS),
    groups=st.sets(st.sampled_from(GROUPS)),
)
def test_the_predicate_says_what_the_rules_say(
    world: Database, things: list[Thing], user: str, groups: set[str]
) -> None:
    caller = identity(user, *sorted(groups))
    expected = {f"th_{n}": model_right(t, user, caller.groups) for n, t in enumerate(things)}
    world.write_now(lambda c: write_model(c, things))
    for kind, table in SHARED.items():
        mine = {f"th_{n}" for n, thing in enumerate(things) if thing.kind == kind}
        assert rights(world, caller, table) == {thing: expected[thing] for thing in mine}
        in_reach = sa.select(table.c.id).where(within_reach(table, caller))
        reached = world.read_now(lambda c, s=in_reach: c.scalars(s).all())
        assert set(reached) >= {thing for thing in mine if expected[thing]}
        for right in Right:
            # What is listed is the union of what may be fetched: one by one, and no more.
            statement = sa.select(table.c.id).where(visible(table, caller, right))
            listed = set(world.read_now(lambda c, s=statement: c.scalars(s).all()))
            assert listed == {thing for thing in mine if expected[thing] >= right}
            for thing in mine:
                error = fetched(world, table, caller, thing, right)
                fits = expected[thing] >= right
                assert error is (None if fits else refusal(expected[thing]))
    for child, parent in ((tables.files, "datasets"), (tables.checkpoints, "jobs")):
        wanted = {
            f"ch_{n}": expected[f"th_{n}"] for n, thing in enumerate(things) if thing.kind == parent
        }
        assert rights(world, caller, child) == wanted


def fetched(
    database: Database, table: sa.Table, caller: Identity, thing: str, right: Right
) -> type[Exception] | None:
    try:
        database.read_now(lambda c: fetch(c, table, caller, thing, right))
    except (NotFoundError, NotAllowedError) as error:
        return type(error)
    return None


def refusal(right: int) -> type[Exception]:
    return NotAllowedError if right else NotFoundError

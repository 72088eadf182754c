"""Who has a Hub name: whatever happens in whatever order, nobody is taken for somebody else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptery.errors import NotAllowedError, UnavailableError
from adaptery_hub.audit import AuditLog, verify
from adaptery_hub.database import Database, tables
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.hub_users import UNDATED
from adaptery_hub.succession import WAKE_AFTER, HubName, Succession
from support.examples import examples
from support.hub_tables import Clock
from support.schema import open_database

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("demo", "Zoë/x@y")
PERSONS = range(4)  # of one name, in the order in which the Hub makes them


def stamp(person: int) -> datetime:
    return START + timedelta(days=person)


class World:
    """A database, and who was seen in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.succession = Succession(AuditLog("service", self.clock), clock=self.clock)

    def see(self, name: HubName) -> str:
        return self.database.write_now(lambda c: self.succession.tenant_of(c, name)["id"])

    def go(self, kind: str, name: str) -> None:
        def retire(connection: sa.Connection) -> None:
            row = statements.find(connection, [(kind, name)]).get((kind, name))
            if row is not None:
                self.succession.retire(connection, row, "gone")

        self.database.write_now(retire)

    def rows(self) -> list[sa.RowMapping]:
        return self.database.read_now(
            lambda c: list(c.execute(sa.select(tables.tenants)).mappings())
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = open_database(tmp_path / "hub.sqlite")
    yield World(database)
    database.close()


EVENTS = st.one_of(
    st.tuples(st.just("see"), st.sampled_from(NAMES), st.sampled_from(PERSONS)),
    st.tuples(st.just("gone"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("group"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("group gone"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("expect"), st.sampled_from(NAMES), st.sampled_from(PERSONS)),
    st.tuples(st.just("wait"), st.just(""), st.just(0)),
)


@given(events=st.lists(EVENTS, max_size=25))
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_two_persons_are_one_tenant(world: World, events: list[tuple[str, str, int]]) -> None:
    with world.database.engine.begin() as connection:
        for table in (tables.keys, tables.audit, tables.tenants):
            connection.execute(table.delete())
    persons: dict[str, tuple[str, str, datetime]] = {}  # by tenant
    groups_of_before: dict[str, set[str]] = {name: set() for name in NAMES}
    groups: dict[str, str] = {}
    for event, name, person in events:
        match event:
            case "see":
                who = HubName("user", name, stamp(person))
                try:
                    tenant = world.see(who)
                except NotAllowedError:
                    continue
                known = persons.setdefault(tenant, ("user", name, stamp(person)))
                assert known == ("user", name, stamp(person))
            case "gone":
                world.go("user", name)
            case "group":
                tenant = world.see(HubName("group", name))
                assert tenant not in groups_of_before[name]
                assert groups.setdefault(name, tenant) == tenant
            case "group gone":
                world.go("group", name)
                if name in groups:
                    groups_of_before[name].add(groups.pop(name))
            case "expect":
                _expect(world, name, stamp(person))
            case _:
                world.clock.forward(WAKE_AFTER.total_seconds() + 1)
    awake = [(row["kind"], row["hub_name"]) for row in world.rows() if row["state"] != "dormant"]
    assert len(awake) == len(set(awake))
    slugs = [(row["kind"], row["slug"]) for row in world.rows()]
    assert len(slugs) == len(set(slugs))
    for row in world.rows():
        assert (row["state"] == "dormant") == (row["dormant_at"] is not None)
    verify(
        world.database.read_now(
            lambda c: list(
                c.execute(sa.select(tables.audit).order_by(tables.audit.c.seq)).mappings()
            )
        )
    )


def _expect(world: World, name: str, created_at: datetime) -> None:
    def expect(connection: sa.Connection) -> None:
        if not statements.named(connection, f"@{name}"):
            world.succession.expect(connection, name, created_at)

    world.database.write_now(expect)


def test_an_earlier_one_is_refused_and_changes_nothing(world: World) -> None:
    later = world.see(HubName("user", "demo", stamp(2)))
    before = world.rows()
    with pytest.raises(NotAllowedError):
        world.see(HubName("user", "demo", stamp(1)))
    assert world.rows() == before
    assert world.see(HubName("user", "demo", stamp(2))) == later


def test_without_a_time_nobody_is_minted(world: World) -> None:
    with pytest.raises(UnavailableError):
        world.see(HubName("user", "demo"))
    assert world.rows() == []
    assert world.see(HubName("service", "monitor")) == world.see(HubName("service", "monitor"))


def test_who_is_undated_is_followed_by_whoever_is_dated(world: World) -> None:
    first = world.see(HubName("user", "demo", UNDATED))
    assert world.see(HubName("user", "demo", UNDATED)) == first
    assert world.see(HubName("user", "demo", stamp(0))) != first


def test_a_suspended_tenant_stays_suspended_when_its_time_is_learnt(world: World) -> None:
    tenant = world.see(HubName("user", "demo", stamp(0)))
    change = tables.tenants.update().values(state="suspended", hub_created_at=None)
    world.database.write_now(lambda c: c.execute(change))
    assert world.see(HubName("user", "demo", stamp(0))) == tenant
    (row,) = world.rows()
    assert (row["state"], row["hub_created_at"]) == ("suspended", stamp(0))


def test_falling_asleep_ends_keys_and_waking_does_not_bring_them_back(world: World) -> None:
    tenant = world.see(HubName("user", "demo", stamp(0)))
    key = {"id": "ak_1", "created_at": START, "tenant_id": tenant, "creator_id": tenant}
    key |= {"name": "x", "secret_hash": "sha256:0", "prefix": "ak-x", "expires_at": stamp(3000)}
    world.database.write_now(
        lambda c: c.execute(tables.keys.insert().values(**key, adapters=[], verbs=[]))
    )
    world.go("user", "demo")
    world.clock.forward(WAKE_AFTER.total_seconds() + 1)
    assert world.see(HubName("user", "demo", stamp(0))) == tenant
    revoked = world.database.read_now(lambda c: c.scalar(sa.select(tables.keys.c.revoked_at)))
    assert revoked is not None

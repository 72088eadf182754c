"""Lists of datasets and adapters: an order that pages go on with, and a search by full name."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from adaptery.errors import InvalidInputError
from adaptery.schemas.datasets import DatasetOrder
from adaptery_hub.database import Database, tables
from adaptery_hub.database.statements import adapters, datasets
from adaptery_hub.database.statements.datasets import DatasetQuery
from adaptery_hub.handlers.datasets import ORDERS
from adaptery_hub.identity import Identity
from support.schema import open_database

START = datetime(2026, 1, 1, tzinfo=UTC)
#: Owner, name and the minute of the last change, in the order in which they were made; many equal.
MADE = [
    ("tn_demo", "visits", 5),
    ("tn_demo", "letters", 0),
    ("tn_group", "visits", 5),
    ("tn_other", "secret-visits", 9),
    ("tn_demo", "a_b", 5),
    ("tn_demo", "a-b", 0),
    ("tn_group", "zoster", 7),
]
DEMO = Identity(
    tenant_id="tn_demo",
    hub_name="demo",
    slug="demo",
    groups=("radiology",),
    group_tenants=("tn_group",),
    group_slugs=("radiology",),
    scopes=frozenset({"read"}),
    token_kind="token",
)
EXPECTED: dict[DatasetOrder, list[str]] = {
    "created": ["ds_0", "ds_1", "ds_2", "ds_4", "ds_5", "ds_6"],
    "-changed": ["ds_6", "ds_4", "ds_2", "ds_0", "ds_5", "ds_1"],
    "name": ["ds_5", "ds_4", "ds_1", "ds_0", "ds_2", "ds_6"],
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "test.sqlite")
    with database.engine.begin() as connection:
        for name, kind in (("demo", "user"), ("other", "user"), ("group", "group")):
            slug = "radiology" if kind == "group" else name
            values = {"kind": kind, "hub_name": slug, "slug": slug, "state": "active"}
            connection.execute(
                sa.insert(tables.tenants).values(id=f"tn_{name}", created_at=START, **values)
            )
        for number, (owner, name, minute) in enumerate(MADE):
            changed = START + timedelta(minutes=minute)
            whose = {"tenant_id": owner, "creator_id": owner, "created_at": START, "name": name}
            values = {"sensitivity": "internal", "updated_at": changed}
            connection.execute(
                sa.insert(tables.datasets).values(id=f"ds_{number}", **whose, **values)
            )
            made = {"base_model": "b", "base_weight_digest": "", "weight_digest": "", "card": {}}
            made |= {"number": number + 1, "files": [], "content_digests": []}
            connection.execute(
                sa.insert(tables.adapters).values(
                    id=f"ad_{number}", sensitivity="internal", **whose, **made
                )
            )
    yield database
    database.close()


def paged(database: Database, wanted: DatasetQuery, limit: int) -> list[str]:
    found: list[str] = []
    while True:
        after = found[-1] if found else None
        rows = database.read_now(lambda c, a=after: datasets.list_page(c, DEMO, wanted, a, limit))
        found += [row["id"] for row in rows]
        if len(rows) < limit:
            return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 3, 6, 50])
def test_pages_hold_everything_once_in_each_order(
    database: Database, order: DatasetOrder, limit: int
) -> None:
    assert paged(database, DatasetQuery(order=order), limit) == EXPECTED[order]


@pytest.mark.parametrize("order", ORDERS)
def test_a_page_goes_on_behind_what_the_caller_may_view(
    database: Database, order: DatasetOrder
) -> None:
    def page(after: str) -> list[str]:
        wanted = DatasetQuery(order=order)
        rows = database.read_now(lambda c: datasets.list_page(c, DEMO, wanted, after, 50))
        return [row["id"] for row in rows]

    if order == "created":  # ids say when; what is gone is a place, too
        assert page("ds_3") == ["ds_4", "ds_5", "ds_6"]
        return
    for hidden in ("ds_3", "ds_never_was", ""):
        with pytest.raises(InvalidInputError, match="dataset of yours"):
            page(hidden)


def test_a_search_is_for_letters_of_the_full_name(database: Database) -> None:
    def search(text: str) -> list[str]:
        return paged(database, DatasetQuery(search=text), 50)

    assert search("VISITS") == ["ds_0", "ds_2"]
    assert search("@demo/visits") == ["ds_0"]
    assert search("radiology/") == ["ds_2", "ds_6"]
    assert search("a_b") == ["ds_4"]
    assert search("") == EXPECTED["created"]
    for nothing in ("%", "v%s", "secret", "other", "\\", "'", "visits@1"):
        assert search(nothing) == [], nothing


def test_a_search_for_adapters_knows_their_number(database: Database) -> None:
    def search(text: str | None, after: str | None = None) -> list[str]:
        rows = database.read_now(lambda c: adapters.list_usable(c, DEMO, after, 50, text))
        return [row["id"] for row in rows]

    assert search(None) == ["ad_6", "ad_5", "ad_4", "ad_2", "ad_1", "ad_0"]
    assert search("visits") == ["ad_2", "ad_0"]
    assert search("Radiology/Visits@3") == ["ad_2"]
    assert search("visits", after="ad_2") == ["ad_0"]
    assert search("secret") == search("%") == []

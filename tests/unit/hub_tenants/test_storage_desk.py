"""Accounts of storage: what is reserved at once never adds up to more than there is."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adaptery.errors import StorageQuotaError
from adaptery.times import now
from adaptery_hub.database import Database, tables
from adaptery_hub.storage import Reservation, StorageDesk, written_size
from support.schema import open_database

TENANT = "tn_1"
QUOTA = 1000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "hub.sqlite")
    row = {"id": TENANT, "created_at": now(), "kind": "user", "hub_name": "demo", "slug": "demo"}
    with database.engine.begin() as connection:
        connection.execute(tables.tenants.insert().values(**row, state="active"))
    yield database
    database.close()


@pytest.fixture
def desk(database: Database) -> StorageDesk:
    return StorageDesk(database, QUOTA)


async def store(database: Database, size: int) -> None:
    moment = now()
    row = {"id": f"ds_{size}", "created_at": moment, "updated_at": moment, "name": f"d{size}"}
    row |= {"tenant_id": TENANT, "creator_id": TENANT, "sensitivity": "open", "draft_bytes": size}
    await database.write(lambda c: c.execute(tables.datasets.insert().values(row)))


async def test_all_that_is_on_its_way_counts(desk: StorageDesk) -> None:
    first = await desk.reserve(TENANT, 600)
    with pytest.raises(StorageQuotaError, match=r"600 bytes are on their way.*needs 401 bytes"):
        await desk.reserve(TENANT, 401)
    second = await desk.reserve(TENANT, 400)
    with pytest.raises(StorageQuotaError):
        await desk.check(TENANT)
    first.release()
    first.release()  # again: nothing
    await desk.check(TENANT)
    second.release()
    assert not desk._reserved


async def test_what_is_stored_counts_and_others_do_not(
    database: Database, desk: StorageDesk
) -> None:
    await store(database, 900)
    with pytest.raises(StorageQuotaError, match=r"900 bytes of 1.0 kB .* Most of it is drafts"):
        await desk.reserve(TENANT, 101)
    with await desk.reserve(TENANT, 100):
        pass
    (await desk.reserve("tn_other", QUOTA)).release()


async def test_no_quota_is_no_limit(database: Database) -> None:
    desk = StorageDesk(database, 0)
    (await desk.reserve(TENANT, 10**18)).release()


async def test_a_quota_of_its_own_counts(database: Database, desk: StorageDesk) -> None:
    for own, room in ((10, 10), (0, 10**15), (None, QUOTA)):
        change = tables.tenants.update().values(storage_quota_bytes=own)
        await database.write(lambda c, s=change: c.execute(s))
        (await desk.reserve(TENANT, room)).release()
        if own != 0:
            with pytest.raises(StorageQuotaError):
                await desk.reserve(TENANT, room + 1)


async def test_what_goes_on_at_once_shares_what_is_left(
    database: Database, desk: StorageDesk
) -> None:
    """From the loop and from threads, as uploads and publishes reserve."""
    await store(database, 500)

    def from_a_thread(_: int) -> Reservation | None:
        try:
            return desk.reserve_now(TENANT, 100)
        except StorageQuotaError:
            return None

    with ThreadPoolExecutor(8) as threads:
        in_threads = [asyncio.wrap_future(threads.submit(from_a_thread, n)) for n in range(20)]
        on_loop = [desk.reserve(TENANT, 100) for _ in range(20)]
        found = await asyncio.gather(*in_threads, *on_loop, return_exceptions=True)
    let_in = [one for one in found if isinstance(one, Reservation)]
    assert len(let_in) <= 5
    assert sum(one.bytes for one in let_in) == desk._reserved[TENANT]
    for one in let_in:
        one.release()
    assert not desk._reserved


def test_sizes_are_written_as_people_write_them() -> None:
    sizes = {0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 21_474_836_480: "21.5 GB"}
    assert {size: written_size(size) for size in sizes} == sizes
    assert written_size(10**18) == "1,000,000.0 TB"

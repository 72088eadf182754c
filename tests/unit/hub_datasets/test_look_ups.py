"""Look-ups that share a transaction; work that is ended from outside."""

import asyncio

import pytest
import sqlalchemy as sa

from adaptery.errors import NotFoundError
from adaptery_hub.database import Database
from adaptery_hub.interruption import Interruption


@pytest.fixture
async def database(tmp_path):
    made = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    await made.write(lambda c: c.execute(sa.text("CREATE TABLE numbers (n INTEGER)")))
    yield made
    made.close()


def count(connection):
    return connection.execute(sa.text("SELECT count(*) FROM numbers")).scalar_one()


async def test_look_ups_that_wait_together_share_a_snapshot_and_each_has_its_own_answer(database):
    connections = []

    def look(number):
        def fn(connection):
            connections.append(connection)
            if number % 3 == 0:
                raise NotFoundError
            return number + count(connection)

        return fn

    found = await asyncio.gather(
        *(database.look_up(look(number)) for number in range(10)), return_exceptions=True
    )
    for number, answer in enumerate(found):
        assert isinstance(answer, NotFoundError) if number % 3 == 0 else answer == number
    assert len({id(connection) for connection in connections}) < 10


async def test_a_look_up_sees_what_was_written_before_it_was_asked(database):
    async def write_and_look(number):
        await database.write(lambda c: c.execute(sa.text("INSERT INTO numbers VALUES (1)")))
        assert await database.look_up(count) > 0
        return number

    assert await asyncio.gather(*(write_and_look(n) for n in range(20))) == list(range(20))
    assert await database.look_up(count) == 20


async def test_one_that_left_and_one_that_failed_keep_nobody_waiting(database):
    leaving = asyncio.create_task(database.look_up(count))
    staying = asyncio.create_task(database.look_up(count))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(sa.exc.OperationalError):
        await database.look_up(lambda c: c.execute(sa.text("SELECT * FROM nowhere")))
    assert await staying == 0
    assert await database.look_up(count) == 0


async def work(events, seconds=60.0):
    try:
        events.append("begun")
        await asyncio.sleep(seconds)
        events.append("whole")
    finally:
        events.append("over")


async def test_an_interruption_ends_the_work_before_it_returns_and_leaves_the_task_alone():
    interruption, events = Interruption(), []
    asyncio.get_running_loop().call_soon(interruption.interrupt)
    await interruption.run(work(events))
    assert events == ["begun", "over"]
    asyncio.get_running_loop().call_soon(interruption.interrupt, NotFoundError())
    with pytest.raises(NotFoundError):
        await interruption_of(events)
    await asyncio.sleep(0)  # the task itself was not cancelled


async def interruption_of(events):
    interruption = Interruption()
    asyncio.get_running_loop().call_soon(interruption.interrupt, NotFoundError())
    asyncio.get_running_loop().call_soon(interruption.interrupt)
    await interruption.run(work(events))


async def test_an_end_from_outside_is_never_taken_for_an_interruption():
    interruption, events = Interruption(), []
    task = asyncio.create_task(interruption.run(work(events)))
    await asyncio.sleep(0)
    task.cancel()
    interruption.interrupt(NotFoundError())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["begun", "over"]


async def test_an_interruption_that_comes_too_late_does_nothing():
    interruption, events = Interruption(), []
    await interruption.run(work(events, 0))
    interruption.interrupt(NotFoundError())
    await asyncio.sleep(0)
    assert events == ["begun", "whole", "over"]

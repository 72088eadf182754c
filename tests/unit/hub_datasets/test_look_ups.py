"""Look-ups in the event loop and in threads; work that is ended from outside."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa

from adaptery.errors import NotFoundError
from adaptery_hub.database import Database
from adaptery_hub.database.look_ups import QuickLookUps
from adaptery_hub.interruption import Interruption


@pytest.fixture(params=["quick", "shared"])
async def database(tmp_path, request):
    """A database that answers look-ups as on SQLite, or as on a server."""
    made = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    await made.write(lambda c: c.execute(sa.text("CREATE TABLE numbers (n INTEGER)")))
    if request.param == "shared":
        made._quick.close()
        made._quick = None
    yield made
    made.close()


def count(connection):
    return connection.execute(sa.text("SELECT count(*) FROM numbers")).scalar_one()


def insert(connection):
    connection.execute(sa.text("INSERT INTO numbers VALUES (1)"))


async def test_look_ups_that_wait_together_share_a_connection_and_each_has_its_own_answer(database):
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


@pytest.mark.parametrize("question", [None, "how many"])
async def test_a_look_up_sees_what_was_written_before_it_was_asked(database, question):
    async def write_and_look(number):
        await database.write(insert)
        assert await database.look_up(count, question) > 0
        return number

    assert await database.look_up(count, question) == 0
    assert await asyncio.gather(*(write_and_look(n) for n in range(20))) == list(range(20))
    assert await database.look_up(count, question) == 20


async def test_a_look_up_sees_what_another_process_wrote(database):
    assert await database.look_up(count, "how many") == 0
    another = Database(database.url)
    await another.write(insert)
    another.close()
    assert await database.look_up(count, "how many") == 1


async def test_one_that_left_and_one_that_failed_keep_nobody_waiting(database):
    leaving = asyncio.create_task(database.look_up(count))
    staying = asyncio.create_task(database.look_up(count))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(sa.exc.OperationalError):
        await database.look_up(lambda c: c.execute(sa.text("SELECT * FROM nowhere")))
    assert await staying == 0
    assert await database.look_up(count) == 0


async def test_the_same_question_is_asked_once_between_two_commits():
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    quick, asked = QuickLookUps(engine), []
    for question in ("one", "one", "another", None, None):
        assert quick.ask(lambda c, q=question: asked.append(q), question) is None
    with pytest.raises(NotFoundError):
        quick.ask(fail, "fails")
    with pytest.raises(NotFoundError):
        quick.ask(fail, "fails")
    assert asked == ["one", "another", None, None]
    quick.close()


def fail(connection):
    raise NotFoundError


async def test_a_database_that_another_process_has_locked_is_waited_for_in_a_thread(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    await database.write(lambda c: c.execute(sa.text("CREATE TABLE numbers (n INTEGER)")))
    other = sqlite3.connect(tmp_path / "hub.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    database.close()  # nobody else has it open: only so can it be had alone
    other.execute("INSERT INTO numbers VALUES (1)")
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    waiting = asyncio.create_task(database.look_up(count, "how many"))
    await asyncio.sleep(0)
    assert not waiting.done()
    other.close()
    assert await waiting == 1
    database.close()


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

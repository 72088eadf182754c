"""What is asked at each submit, claim and look at a dashboard never reads all jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery.schemas.jobs import JobCreate
from adaptery.states import JobState
from adaptery.times import now
from adaptery_hub.database import Database
from adaptery_hub.database.statements import job_lists, jobs, queues, storage, turns
from adaptery_hub.database.statements.job_lists import JobFilter
from adaptery_hub.database.statements.jobs import Offer
from adaptery_hub.identity import Identity
from adaptery_hub.queue import transitions
from support.hub_tables import AGENT, WEIGHTS, HubTables, open_tables
from support.queued_jobs import insert_queued
from support.schema import ON_POSTGRESQL

pytestmark = pytest.mark.skipif(ON_POSTGRESQL, reason="reads the plans of SQLite")

#: Statements of one submit, in its one transaction that writes; each costs the writer's time.
SUBMIT_STATEMENTS = 7
OFFER = Offer(AGENT, "training", frozenset({WEIGHTS}), abilities=frozenset())

Ask = Callable[[Connection, Identity], object]
ASKED: dict[str, Ask] = {
    "created": lambda c, who: jobs.list_created(c),
    "to translate": lambda c, who: jobs.to_translate(c),
    "enqueueable": lambda c, who: transitions.enqueueable(c),
    "giving": lambda c, who: queues.giving(c),
    "firsts": lambda c, who: turns.firsts(c, OFFER, now()),
    "open": lambda c, who: jobs.count_open(c, who.tenant_id),
    "counts": lambda c, who: job_lists.count_visible(c, who),
    "queued": lambda c, who: job_lists.list_visible(
        c, who, JobFilter(states=frozenset({JobState.QUEUED})), None, 50
    ),
    "sizes": lambda c, who: storage.used(c, [who.tenant_id]),
}


@contextmanager
def noted(database: Database) -> Iterator[list[tuple[str, object]]]:
    """Note what is asked, with its parameters."""
    found: list[tuple[str, object]] = []

    def note(connection: object, cursor: object, text: str, given: object, *_: object) -> None:
        found.append((text, given))

    engines = {database.engine, database.reader}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
async def full(tmp_path: Path) -> HubTables:
    """Tables with some hundred jobs that wait, and a database that knows so."""
    hub = open_tables(tmp_path)
    await insert_queued(hub, {"demo": 300, "guest": 50})
    await hub.database.write(lambda c: c.execute(sa.text("ANALYZE")))
    return hub


async def test_no_question_reads_all_jobs(full: HubTables) -> None:
    who = await full.identity("guest")
    for name, ask in ASKED.items():
        with noted(full.database) as found:
            await full.database.read(lambda c, ask=ask: ask(c, who))
        asked = [pair for pair in found if pair[0] != "BEGIN"]
        assert asked, name
        for text, given in asked:
            plan = await full.database.read(
                lambda c, text=text, given=given: explained(c, text, given)
            )
            assert not [step for step in plan if step.startswith("SCAN jobs")], (name, plan)
    full.database.close()


def explained(connection: Connection, text: str, given: object) -> list[str]:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given)  # type: ignore[arg-type]
    return [row[-1] for row in rows]


async def test_a_submit_writes_in_few_statements(full: HubTables) -> None:
    await full.bind()
    who = await full.identity("guest")
    wanted = JobCreate(name="notes", dataset="@guest/visits@1")
    await full.desk.submit(who, wanted)
    with noted(full.database) as found:
        await full.desk.submit(who, wanted)
    texts = [text for text, _ in found]
    written = texts[texts.index("BEGIN IMMEDIATE") + 1 :]
    assert len(written) == SUBMIT_STATEMENTS, written
    full.database.close()

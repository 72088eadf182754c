"""Charts of few points that look like all of them."""

import asyncio
import time
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from adaptery.ids import new_id
from adaptery.schemas.jobs import JobCreate
from adaptery_hub.database import tables
from adaptery_hub.job_charts import SERIES, JobCharts, Metrics, read_metrics
from support.hub_tables import AGENT, HubTables

ABSENT = float("nan")


def metrics(**series: list[float]) -> Metrics:
    count = len(next(iter(series.values())))
    told = {name: np.array(series.get(name, [ABSENT] * count)) for name in SERIES}
    return Metrics(np.arange(1, count + 1), told)


@given(st.lists(st.floats(-1e9, 1e9), min_size=60, max_size=600), st.integers(0, 9))
def test_a_chart_keeps_its_ends_and_its_extremes(values: list[float], gaps: int) -> None:
    evaluated = [value if place % (gaps + 1) == 0 else ABSENT for place, value in enumerate(values)]
    all_points = metrics(loss=values, eval_loss=evaluated)
    kept = all_points.thinned(50)
    assert len(kept) <= 50 and kept == sorted(kept)
    assert kept[0] == 1 and kept[-1] == len(values)
    shown = [values[seq - 1] for seq in kept]
    assert (min(shown), max(shown)) == (min(values), max(values))
    held_out = [evaluated[seq - 1] for seq in kept]
    assert np.nanmin(held_out) == np.nanmin(evaluated)


def test_a_spike_of_one_step_in_two_hundred_thousand_is_seen() -> None:
    values = np.full(200_000, 2.0)
    values[123_456], values[54_321] = 9.0, -9.0
    begun = time.process_time()
    kept = metrics(loss=values.tolist()).thinned(2_000)
    assert {123_457, 54_322} <= set(kept) and len(kept) <= 2_000
    assert time.process_time() - begun < 1.0


def test_what_is_short_is_shown_whole() -> None:
    assert metrics(loss=[1.0] * 50).thinned(50) == list(range(1, 51))
    assert metrics(loss=[]).thinned(50) == []


async def job_with(hub: HubTables, *attempts: list[Mapping[str, object]]) -> str:
    """Return a job whose attempts told these numbers, one after the other."""
    version = await hub.version("demo")
    wanted = JobCreate(name="notes", dataset=version)
    job = await hub.desk.submit(await hub.identity("demo"), wanted)

    def insert(connection: Connection) -> None:
        seq = 10
        for number, points in enumerate(attempts, start=1):
            attempt = new_id("at")
            connection.execute(
                tables.attempts.insert().values(
                    id=attempt,
                    created_at=hub.clock(),
                    job_id=job,
                    number=number,
                    agent_id=AGENT,
                    fencing_token=str(number),
                )
            )
            for place, data in enumerate(points, start=1):
                seq += 1
                connection.execute(
                    tables.job_events.insert().values(
                        id=new_id("ev"),
                        created_at=hub.clock(),
                        job_id=job,
                        attempt_id=attempt,
                        attempt_seq=place,
                        seq=seq,
                        kind="metrics",
                        data=data,
                    )
                )

    await hub.database.write(insert)
    return job


def points(*steps: int, loss: float) -> list[Mapping[str, object]]:
    return [{"step": step, "loss": loss, "learning_rate": 1e-4} for step in steps]


async def test_of_a_step_that_was_done_again_the_later_attempt_counts(hub: HubTables) -> None:
    evaluated: list[Mapping[str, object]] = [{"step": 4, "eval_loss": 0.5}]
    job = await job_with(
        hub,
        points(1, 2, 3, 4, 5, loss=1),
        points(3, 4, loss=2) + evaluated,  # both of step 4 count until it is done again
        points(3, loss=3),
    )
    charts = JobCharts(hub.database)
    shown = [row["data"] for row in await charts.points("tn_a", job, 50)]
    assert [(point["step"], point["loss"]) for point in shown] == [(1, 1), (2, 1), (3, 3)]
    again = await charts.points("tn_a", job, 50)
    assert [row["seq"] for row in again] == [11, 12, 19]
    found = await charts.read("tn_a", lambda c: read_metrics(c, job))
    assert (found.last("loss"), found.lowest("loss"), found.median("loss")) == (3, 1, 1)
    assert found.lowest("eval_loss") is None


async def test_a_job_without_points_has_an_empty_chart(hub: HubTables) -> None:
    job = await job_with(hub)
    assert await JobCharts(hub.database).points("tn_a", job, 50) == []


@pytest.mark.parametrize("count", [1, 3])
async def test_points_are_read_piece_by_piece(
    hub: HubTables, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.job_charts._READ_AT_ONCE", count)
    job = await job_with(hub, points(1, 2, 3, 4, loss=1))
    assert [row["seq"] for row in await JobCharts(hub.database).points("tn_a", job, 50)] == [
        11,
        12,
        13,
        14,
    ]


async def test_many_charts_of_one_tenant_keep_nobody_waiting_for_more_than_a_turn(
    hub: HubTables,
) -> None:
    charts, read = JobCharts(hub.database), list[str]()
    wanted = ["tn_a", "tn_a", "tn_a", "tn_a", "tn_b"]
    asked = [charts.read(tenant, lambda _, t=tenant: read.append(t)) for tenant in wanted]
    await asyncio.gather(*asked)
    assert read.index("tn_b") == 1

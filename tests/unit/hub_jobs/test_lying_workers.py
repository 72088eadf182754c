"""Workers that lie: what they tell changes no job but their own, and breaks no list or forecast."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adaptery.errors import InvalidInputError
from adaptery.schemas.common import parse
from adaptery.schemas.events import parse_event
from adaptery.schemas.jobs import JobCreate
from adaptery.times import to_text
from adaptery_hub.database.statements import training_speeds
from adaptery_hub.fleet.session_desk import CommitOp, FinishOp
from adaptery_hub.preflight.counting import Counts
from adaptery_hub.preflight.work import Agents, describe
from adaptery_hub.queue import Claim
from support.hub_tables import WEIGHTS, HubTables, fence_of

FILE = "sha256:" + "a" * 64


async def claimed(hub: HubTables) -> Claim:
    """Submit a job and let the agent take it."""
    await hub.bind()
    wanted = JobCreate(name="notes", dataset=await hub.version("demo"))
    await hub.desk.submit(await hub.identity("demo"), wanted)
    claim = await hub.claim()
    assert claim is not None
    return claim


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-10:00"])
async def test_a_time_beyond_the_calendar_is_no_event_and_wedges_nothing(
    hub: HubTables, at: str
) -> None:
    claim = await claimed(hub)
    event = {"seq": 1, "at": at, "kind": "log", "message": "x"}
    with pytest.raises(InvalidInputError):
        parse_event(event)
    assert (await hub.queue.report(fence_of(claim), [event])).acked_seq == 1


async def test_texts_with_nul_reach_no_database(hub: HubTables) -> None:
    claim = await claimed(hub)
    event = {"seq": 1, "at": to_text(hub.clock()), "kind": "error", "code": "x", "reason": "a\0b"}
    assert (await hub.queue.report(fence_of(claim), [event])).acked_seq == 1
    assert (await hub.row(claim.job_id))["state"] == "training"
    with pytest.raises(InvalidInputError):
        parse(FinishOp, {"op": "finish", "fencing_token": 1, "outcome": "failed", "reason": "\0"})


@pytest.mark.parametrize(
    "metrics", [{"loss": 10**400}, {"loss": float("nan")}, {"the patient said": 1.0}, {"x" * 99: 1}]
)
def test_numbers_beside_a_checkpoint_are_numbers(metrics: dict[str, Any]) -> None:
    op = {"op": "commit", "folder": "checkpoints/1", "files": [], "step": 1, "digest": FILE}
    assert parse(CommitOp, {**op, "metrics": {"eval_loss": 1, "step_epoch": None}})
    with pytest.raises(InvalidInputError):
        parse(CommitOp, {**op, "metrics": metrics})


@pytest.mark.parametrize("speed", [5e-324, 1e308, -5.0])
@pytest.mark.parametrize("runtime", [1e308, -1e-320])
async def test_speeds_that_nothing_has_are_not_kept_for_others(
    hub: HubTables, speed: float, runtime: float
) -> None:
    claim = await claimed(hub)
    at = to_text(hub.clock())
    told = {"kind": "metrics", "step": 1, "epoch": 0.1, "tokens_per_second": speed}
    summary = dict.fromkeys(("epoch", "total_flos", "train_loss", "train_steps_per_second"), 1.0)
    summary |= {"train_runtime": runtime, "train_samples_per_second": 1e308, "tokens": 5}
    summary |= {"kind": "summary", "peak_memory_bytes": 2**53 - 1}
    events = [{"seq": n, "at": at, **event} for n, event in enumerate([told, summary], start=1)]
    await hub.queue.report(fence_of(claim), events)
    past = await hub.database.read(lambda c: training_speeds.of_model(c, WEIGHTS, "sft"))
    counts = Counts(examples=1, tokens=10**6, total_tokens=10**6, steps=10)
    report = describe(claim.spec, counts, past, Agents(frozenset({"ag"})))
    json.dumps(report.model_dump(mode="json"), allow_nan=False)
    assert report.seconds.low is None

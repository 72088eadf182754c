"""An agent that joined honestly and then sends what no honest agent sends."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from adaptery.digests import sha256_bytes, sha256_file
from adaptery.errors import (
    AdapteryError,
    ConflictError,
    InvalidInputError,
    LeaseLostError,
    TooLargeError,
)
from adaptery.schemas.jobs import JobCreate
from adaptery.states import AttemptOutcome, JobState
from adaptery_hub.database import tables
from adaptery_hub.database.statements import adapters, attempts, job_events
from adaptery_hub.fleet.heartbeats import SLOTS_LIMIT, read_heartbeat
from adaptery_hub.fleet.offers import FileOffers
from adaptery_hub.fleet.registration import Registration
from adaptery_hub.fleet.session_desk import SessionDesk
from adaptery_hub.fleet.staging import ENTRIES_LIMIT, StagingArea
from adaptery_hub.objects import FilesystemStore
from adaptery_hub.queue import AttemptEnd
from adaptery_hub.queue.port import Claim
from adaptery_hub.queue.reports import CANCEL_SECONDS, JOB_EVENTS_LIMIT, OVERTIME_SECONDS
from support.agent_side.folders import make_adapter
from support.hub_tables import AGENT, WEIGHTS, HubTables, fence_of
from support.published import KEY, published_in

OTHER_AGENT = "ag_01hzzzzzzzzzzzzzzzzzzzzzzy"
COMPLETED = AttemptEnd(AttemptOutcome.COMPLETED)
BEYOND_SQL = 2**63


async def claimed(hub: HubTables, name: str = "notes") -> Claim:
    await hub.bind()
    version = await hub.version("demo", name=f"set-{name}")
    await hub.desk.submit(await hub.identity("demo"), JobCreate(name=name, dataset=version))
    claim = await hub.claim()
    assert claim is not None
    return claim


@pytest.fixture
def desk(hub: HubTables, tmp_path: Path) -> SessionDesk:
    objects = FilesystemStore(tmp_path / "objects")
    staging = StagingArea(tmp_path / "incoming")
    registration = Registration(hub.database, objects, staging, KEY, hub.clock)
    offers = FileOffers(objects, published_in(objects, tmp_path))
    return SessionDesk(hub.database, hub.queue, offers, staging, registration)


async def write(desk: SessionDesk, claim: Claim, path: str, data: bytes) -> dict[str, object]:
    digest = sha256_bytes(data)
    header = {"op": "write", "path": path, "offset": 0, "bytes": len(data), "digest": digest}
    await desk.handle(claim.agent_id, claim.attempt_id, header, data)
    return {"path": path.rpartition("/")[2], "bytes": len(data), "digest": digest}


async def commit(
    desk: SessionDesk, claim: Claim, folder: str, files: list[dict[str, object]], **facts: object
) -> None:
    header = {"op": "commit", "folder": folder, "files": files, **facts}
    await desk.handle(claim.agent_id, claim.attempt_id, header, b"")


async def report(desk: SessionDesk, claim: Claim, *events: object) -> dict[str, object]:
    header = {"op": "report", "fencing_token": claim.fencing_token, "events": list(events)}
    return dict((await desk.handle(claim.agent_id, claim.attempt_id, header, b""))[0])


def log_line(seq: int) -> dict[str, object]:
    return {"seq": seq, "at": "2026-01-02T03:04:05Z", "kind": "log", "message": "x"}


async def test_an_attempt_cannot_complete_with_the_adapter_of_another(hub: HubTables) -> None:
    first = await claimed(hub)
    await hub.stage_adapter(first)
    hub.clock.forward(61)
    await hub.queue.reap()
    second = await hub.claim(OTHER_AGENT)
    assert second is not None
    with pytest.raises(ConflictError):
        await hub.queue.finish(fence_of(second), COMPLETED)
    count = sa.select(sa.func.count()).where(tables.adapters.c.state == adapters.COMPLETED)
    assert await hub.database.read(lambda c: c.scalar(count)) == 0


async def test_another_agent_learns_and_changes_nothing_of_an_attempt(
    hub: HubTables, desk: SessionDesk
) -> None:
    claim = await claimed(hub)
    digest = sha256_bytes(b"x")
    headers: list[dict[str, object]] = [
        {"op": "list"},
        {"op": "read", "path": "inputs/0/manifest.json", "offset": 0, "length": 9},
        {"op": "write", "path": "adapter/x", "offset": 0, "bytes": 1, "digest": digest},
        {"op": "commit", "folder": "adapter", "files": []},
        {"op": "report", "fencing_token": claim.fencing_token, "events": [log_line(1)]},
        {"op": "finish", "fencing_token": claim.fencing_token, "outcome": "failed"},
    ]
    for header in headers:
        with pytest.raises(LeaseLostError):
            await desk.handle(OTHER_AGENT, claim.attempt_id, header, b"x")
    assert (await hub.row(claim.job_id))["state"] == JobState.TRAINING


async def test_an_adapter_session_cannot_write_report_or_finish(
    hub: HubTables, desk: SessionDesk
) -> None:
    claim = await claimed(hub)
    adapter = await hub.stage_adapter(claim)
    digest = sha256_bytes(b"x")
    headers: list[dict[str, object]] = [
        {"op": "list"},  # staged: not there for anyone
        {"op": "write", "path": "adapter/x", "offset": 0, "bytes": 1, "digest": digest},
        {"op": "commit", "folder": "adapter", "files": []},
        {"op": "report", "fencing_token": claim.fencing_token, "events": []},
        {"op": "finish", "fencing_token": claim.fencing_token, "outcome": "completed"},
    ]
    for header in headers:
        with pytest.raises(AdapteryError):
            await desk.handle(AGENT, adapter, header, b"x")


async def test_a_step_beyond_any_training_leaves_nothing_in_the_store(
    hub: HubTables, desk: SessionDesk, tmp_path: Path
) -> None:
    claim = await claimed(hub)
    files = [await write(desk, claim, "checkpoints/1/state.bin", b"state")]
    with pytest.raises(InvalidInputError):
        await commit(desk, claim, "checkpoints/1", files, step=BEYOND_SQL, digest=WEIGHTS)
    assert not list((tmp_path / "objects").glob("checkpoints/*"))


async def test_an_adapter_without_a_card_or_with_a_huge_one_is_refused(
    hub: HubTables, desk: SessionDesk, tmp_path: Path
) -> None:
    claim = await claimed(hub)
    make_adapter(tmp_path / "made", 0.5)
    files = [
        await write(desk, claim, f"adapter/{path.name}", path.read_bytes())
        for path in sorted((tmp_path / "made").iterdir())
    ]
    with pytest.raises(InvalidInputError, match="card"):
        await commit(desk, claim, "adapter", files)
    assert not list((tmp_path / "objects").glob("adapters/*"))
    staged = tmp_path / "incoming" / claim.attempt_id / "adapter" / "card.json"
    with staged.open("wb") as stream:
        stream.truncate(64 * 1024**2)
    entry = {"path": "card.json", "bytes": 64 * 1024**2, "digest": sha256_file(staged)}
    with pytest.raises(InvalidInputError, match="large"):
        await commit(desk, claim, "adapter", [*files, entry])


async def test_an_attempt_cannot_fill_the_disk_with_names(
    hub: HubTables, desk: SessionDesk
) -> None:
    claim = await claimed(hub)
    with pytest.raises(TooLargeError):
        for number in range(ENTRIES_LIMIT + 1):
            await write(desk, claim, f"adapter/{number}", b"")


async def test_numbers_beyond_the_database_end_no_report(hub: HubTables, desk: SessionDesk) -> None:
    claim = await claimed(hub)
    metrics = {**log_line(2), "kind": "metrics", "step": BEYOND_SQL, "epoch": 1.0}
    metrics.pop("message")
    answer = await report(desk, claim, log_line(BEYOND_SQL), metrics, log_line(3))
    rows = await hub.database.read(lambda c: job_events.read_on(c, claim.job_id, 0, 9, ["log"]))
    assert [row["attempt_seq"] for row in rows] == [3] and answer["cancel"] is False


async def test_a_job_has_an_end_of_events(
    hub: HubTables, desk: SessionDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = await claimed(hub)
    monkeypatch.setattr("adaptery_hub.queue.reports.JOB_EVENTS_LIMIT", 20)
    assert JOB_EVENTS_LIMIT > 100_000
    for start in range(1, 100, 10):
        answer = await report(desk, claim, *[log_line(seq) for seq in range(start, start + 10)])
        assert answer["acked_seq"] == start + 9
    rows = await hub.database.read(lambda c: job_events.read_on(c, claim.job_id, 0, 999))
    assert len(rows) <= 30


async def test_reports_do_not_hold_a_job_beyond_its_time_limit(
    hub: HubTables, desk: SessionDesk
) -> None:
    claim = await claimed(hub)
    hub.clock.forward(claim.spec.limits.wall_seconds + OVERTIME_SECONDS + 1)
    await report(desk, claim)
    await hub.queue.reap()
    assert (await hub.row(claim.job_id))["state"] == JobState.QUEUED


async def test_reports_do_not_hold_a_job_that_was_cancelled(
    hub: HubTables, desk: SessionDesk
) -> None:
    claim = await claimed(hub)
    await hub.queue.cancel(claim.job_id)
    for _ in range(20):
        hub.clock.forward(CANCEL_SECONDS / 10)
        try:
            answer = await report(desk, claim)
        except LeaseLostError:
            break
        assert answer["cancel"] is True
        await hub.queue.reap()
    assert (await hub.row(claim.job_id))["state"] == JobState.CANCELLED
    row = await hub.database.read(lambda c: attempts.get(c, claim.attempt_id))
    assert row is not None and row["outcome"] is not None


async def test_an_agent_offers_no_more_slots_than_a_host_has() -> None:
    beat = read_heartbeat(
        {
            "agent": AGENT,
            "seq": 1,
            "at": "2026-01-02T03:04:05.000Z",
            "slots": {"workers": 10**9, "free": 10**9},
        }
    )
    assert (beat.workers, beat.workers_free) == (SLOTS_LIMIT, SLOTS_LIMIT)

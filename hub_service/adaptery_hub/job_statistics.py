"""What a job cost and how it went: its attempts, times, inputs and charts in a few numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.schemas.job_statistics import AttemptStatistics, InputStatistics, JobStatistics
from adaptery_hub.database.statements import attempts, checkpoints, jobs
from adaptery_hub.full_names import full_name
from adaptery_hub.job_charts import Metrics

__all__ = ["describe_statistics"]


def describe_statistics(
    connection: Connection, job: RowMapping, metrics: Metrics, now: datetime
) -> JobStatistics:
    """Returns the statistics of a job."""
    tried = attempts.of_job(connection, job["id"])
    kept = Counter(row["attempt_id"] for row in checkpoints.of_job(connection, job["id"]))
    summary: Mapping[str, Any] = job["summary"] or {}
    return JobStatistics(
        attempts=[_attempt(row, kept[row["id"]]) for row in tried],
        wait_seconds=_seconds(job["queued_at"], job["started_at"]),
        train_seconds=sum(_trained(row, now) for row in tried),
        step=job["step"],
        total_steps=job["total_steps"],
        step_seconds=job["step_seconds"],
        tokens=summary.get("tokens"),
        tokens_per_second=metrics.median("tokens_per_second"),
        peak_memory_bytes=summary.get("peak_memory_bytes"),
        best_eval_loss=_first(summary.get("eval_loss"), metrics.lowest("eval_loss")),
        best_step=summary.get("best_step"),
        last_loss=metrics.last("loss"),
        summary=job["summary"],
        inputs=_inputs(jobs.inputs_of(connection, [job["id"]])),
    )


def _attempt(row: RowMapping, kept: int) -> AttemptStatistics:
    return AttemptStatistics(
        number=row["number"],
        agent=row["agent_id"],
        started_at=row["started_at"],
        ended_at=row["finished_at"],
        outcome=row["outcome"],
        reason=row["reason"],
        checkpoints=kept,
    )


def _trained(row: RowMapping, now: datetime) -> float:
    """Returns how long an attempt trained: not at all, if its agent never took it."""
    return _seconds(row["started_at"], row["finished_at"] or now) or 0.0


def _inputs(rows: Sequence[RowMapping]) -> list[InputStatistics]:
    return [
        InputStatistics(
            dataset=full_name(row["tenant_kind"], row["slug"], row["dataset_name"], row["number"]),
            split=row["split"],
            held_out=row["held_out"] or row["split"] == "validation",
            records=_records(row),
        )
        for row in rows
    ]


def _records(row: RowMapping) -> int | None:
    splits = row["splits"] or {}
    return splits.get(row["split"], (row["counts"] or {}).get("records"))


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)

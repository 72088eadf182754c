"""The worker's side of `events.jsonl`: what happened, a JSON object a line, for the agent to tail.

Lines also go to a stream (stdout) for people who run a worker by hand.

It does not decide what is worth telling, and it has no way to send: the agent reads the file.

Invariants:

1. `seq` grows by one with each line of the file and starts at 1. A worker started again in the same
   work folder goes on after the last whole line. A resumed *attempt* has a work folder of its own
   and begins at 1 again; (attempt, seq) names an event, and where two attempts trained the same
   step, the later attempt is right.
2. Every line is whole: it is written by one `write` on a file opened for appending, and what a
   killed worker left of a line is cut off first.
3. An event passes the schema before it is written, so nothing unforeseen gets into the file.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Literal

from adaptery.schemas.events import (
    CheckpointEvent,
    ErrorEvent,
    Evaluation,
    LogEvent,
    MetricsEvent,
    StateEvent,
    WorkerEvent,
    WorkerState,
    event_line,
    parse_event,
)
from adaptery.times import Clock, now
from adaptery_training.failures import TrainingError

EVENTS_NAME = "events.jsonl"


class EventLog:
    """Appends events to the file of one work folder."""

    def __init__(self, path: Path, *, echo: BinaryIO | None = None, clock: Clock = now) -> None:
        self._seq = _repair(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._echo = echo
        self._clock = clock

    @property
    def last_seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._seq

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def state(
        self,
        state: WorkerState,
        *,
        total_steps: int | None = None,
        resumed_step: int | None = None,
    ) -> None:
        """Tell what the worker is about."""
        self._write(
            StateEvent(
                seq=self._seq + 1,
                at=self._clock(),
                state=state,
                total_steps=total_steps,
                resumed_step=resumed_step,
            )
        )

    def metrics(
        self,
        *,
        step: int,
        epoch: float,
        loss: float,
        learning_rate: float,
        grad_norm: float | None,
        tokens_per_second: float,
        eval_loss: float | None = None,
        stage: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Tell the numbers of one logging step; `step_epoch` is the count of completed epochs."""
        event = MetricsEvent(
            seq=self._seq + 1,
            at=self._clock(),
            step=step,
            epoch=round(epoch, 6),
            step_epoch=math.floor(epoch),
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            tokens_per_second=round(tokens_per_second, 3),
            eval_loss=eval_loss,
        )
        self._write(parse_event({**event.model_dump(), **stage}))

    def checkpoint(self, *, step: int, path: str, digest: str) -> None:
        """Tell that a checkpoint is complete; `path` is relative to the work folder."""
        self._write(
            CheckpointEvent(
                seq=self._seq + 1, at=self._clock(), step=step, path=path, digest=digest
            )
        )

    def log(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """Tell a line for the job's log, in our own words."""
        self._write(LogEvent(seq=self._seq + 1, at=self._clock(), level=level, message=message))

    def summary(self, values: Mapping[str, float], evaluation: Evaluation | None) -> None:
        """Tell the Trainer's summary, the fields of `SummaryEvent`, and what was measured last."""
        line = {"kind": "summary", "seq": self._seq + 1, "at": self._clock(), **values}
        self._write(parse_event({**line, "evaluation": evaluation}))

    def error(self, error: TrainingError) -> None:
        """Tell why the attempt failed; the last event of the file."""
        self._write(
            ErrorEvent(
                seq=self._seq + 1,
                at=self._clock(),
                code=error.code,
                reason=error.message,
                remedy=error.hint or "",
            )
        )

    def _write(self, event: WorkerEvent) -> None:
        line = event_line(event)
        if self._echo is not None:
            # Nobody may be reading any more; the file is what counts.
            with contextlib.suppress(OSError):
                self._echo.write(line)
                self._echo.flush()
        if os.write(self._file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._seq = event.seq


def _repair(path: Path) -> int:
    """Cut off an unfinished last line and return the `seq` of the last whole one."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        file.truncate(len(whole))
    lines = whole.splitlines()
    return parse_event(lines[-1]).seq if lines else 0

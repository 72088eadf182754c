"""`adaptery jobs watch` and `log`: what a job tells.

The exit status of `watch`, and of `--watch` elsewhere, says how the job ended: 0 completed, 3
failed, 4 cancelled. 1 is an error of the command itself; the job goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.job_commands.naming import add_job, find_job
from adaptery.states import JobState
from adaptery.terminal import say, watched, write

if TYPE_CHECKING:
    from adaptery.client import Hub, Job
    from adaptery.commands import Subparsers
    from adaptery.schemas.jobs import JobEvent

__all__ = ["add", "watch_job"]

_STATUSES: Mapping[JobState, int] = {
    JobState.COMPLETED: 0,
    JobState.FAILED: 3,
    JobState.CANCELLED: 4,
}


def add(actions: Subparsers) -> None:
    """Add the commands to those of `adaptery jobs`."""
    watching = add_action(
        actions,
        "watch",
        "follow a job to its end; the exit status is 0 if it completed, 3 if it failed, 4 if it "
        "was cancelled",
        _watch,
    )
    add_job(watching)
    watching.add_argument("--json", action="store_true", help="each event as a line of JSON")
    add_job(add_action(actions, "log", "write the log of a job", _log))


def watch_job(job: Job, as_json: bool) -> int:
    """Write what a job tells until it is over; return the exit status that says how it ended.

    Raises:
        AdapteryError: what the service raised.
    """
    for event in job.watch(progress=watched() and not as_json):
        if as_json:
            write(f"{event.model_dump_json()}\n")
        elif line := _line_of(event):
            say(line)
    job.refresh()
    if not as_json:
        say(_end_of(job))
    return _STATUSES[job.state]


def _watch(hub: Hub, arguments: argparse.Namespace) -> int:
    return watch_job(find_job(hub, arguments.job), arguments.json)


def _log(hub: Hub, arguments: argparse.Namespace) -> None:
    say(find_job(hub, arguments.job).log())


def _line_of(event: JobEvent) -> str | None:
    """Return an event as a line; numbers are for the progress line and for charts."""
    match event.kind, event.data:
        case "state", {"state": str(state), "reason": str(reason)}:
            told = f"{state}: {reason}"
        case "state", {"state": str(told)}:
            pass
        case "log", {"message": str(told)}:
            pass
        case "checkpoint", {"step": int(step)}:
            told = f"checkpoint of step {step:,}"
        case _:
            return None
    return f"{event.at:%H:%M:%S} {told}"


def _end_of(job: Job) -> str:
    if job.info.adapter is not None:
        return f"{job.info.name} made the adapter {job.info.adapter}."
    if job.state == JobState.FAILED:
        return f"{job.info.name} failed: {job.info.reason or 'it gave no reason; see its log'}"
    return f"{job.info.name} is {job.state}."

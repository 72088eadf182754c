"""`adaptery jobs cancel`, `prioritise`, `download` and `delete`: what is done with a job."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.errors import ConflictError, InvalidInputError
from adaptery.job_commands.naming import add_job, find_job
from adaptery.states import FINAL_STATES
from adaptery.terminal import can_answer, confirmed, say

if TYPE_CHECKING:
    from adaptery.client import Hub, Job
    from adaptery.commands import Subparsers

__all__ = ["add"]


def add(actions: Subparsers) -> None:
    """Add the commands to those of `adaptery jobs`."""
    add_job(add_action(actions, "cancel", "end a job that is not over", _cancel))
    urgent = add_action(actions, "prioritise", "change the priority of a job", _prioritise)
    add_job(urgent)
    urgent.add_argument("priority", choices=("low", "normal", "high"), help="among your own jobs")
    fetching = add_action(actions, "download", "save the adapter that a job made", _download)
    add_job(fetching)
    fetching.add_argument(
        "target", nargs="?", metavar="FILE", help="a zip file; default: name and version"
    )
    deleting = add_action(
        actions, "delete", "delete a job that is over; its adapter stays", _delete
    )
    add_job(deleting)
    deleting.add_argument("--yes", action="store_true", help="do it without asking")


def _cancel(hub: Hub, arguments: argparse.Namespace) -> None:
    job = find_job(hub, arguments.job).cancel()
    ends = job.state not in FINAL_STATES and job.info.cancel_requested
    say(f"{job.info.name} is {'ending' if ends else job.state}.")


def _prioritise(hub: Hub, arguments: argparse.Namespace) -> None:
    job = find_job(hub, arguments.job).prioritise(arguments.priority)
    position = job.info.position
    place = "" if position is None else f", at position {position:,}"
    say(f"{job.info.name} is {job.state}{place}; its priority is {job.info.priority}.")


def _download(hub: Hub, arguments: argparse.Namespace) -> None:
    job = find_job(hub, arguments.job, with_adapter=True)
    if job.info.adapter_id is None:
        raise ConflictError(f"{job.info.name} has made no adapter: it is {job.state}.")
    target = Path(arguments.target or _file_name(job))
    if target.exists():
        raise ConflictError(f"{target} exists.", hint="name another file")
    say(f"{job.info.adapter} is in {hub.adapters.download(job.info.adapter_id, target)}.")


def _file_name(job: Job) -> str:
    name, _, number = (job.info.adapter or "").rpartition("/")[2].rpartition("@")
    return f"{name}-{number}.zip"


def _delete(hub: Hub, arguments: argparse.Namespace) -> None:
    job = find_job(hub, arguments.job)
    if not arguments.yes:
        if not can_answer():
            raise InvalidInputError("Nobody can be asked; nothing was done.", hint="add --yes")
        if not confirmed(f"Delete {job.info.name} with its numbers, log and checkpoints?"):
            raise InvalidInputError("Nothing was deleted.")
    job.delete()
    say(f"Deleted: {job.info.name}.")

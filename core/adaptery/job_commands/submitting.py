"""`adaptery jobs submit`, `resubmit` and `clone`: a job begins."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.errors import InvalidInputError
from adaptery.job_commands.naming import add_job, find_job
from adaptery.job_commands.settings import parse_settings, say_options
from adaptery.job_commands.watching import watch_job
from adaptery.terminal import say, say_json

if TYPE_CHECKING:
    from adaptery.client import Hub, Job
    from adaptery.commands import Subparsers

__all__ = ["add", "add_request", "versions_of"]


def add(actions: Subparsers) -> None:
    """Add the commands to those of `adaptery jobs`."""
    submitting = add_action(actions, "submit", "submit a job", _submit)
    submitting.add_argument("--task", default="training-v0", help="default: training-v0")
    submitting.add_argument("--name", help="of the job and of the adapter that it makes")
    _add_changes(submitting, "the default one of the task")
    submitting.add_argument(
        "--help-task", metavar="TASK", help="write what a task is and its options, and end"
    )
    again = add_action(actions, "resubmit", "submit a job that is over again, as it was", _resubmit)
    add_job(again)
    again.add_argument("--name", help="of the new one; default: the same")
    _add_answer(again)
    cloning = add_action(actions, "clone", "submit a job like another, with changes", _clone)
    add_job(cloning)
    cloning.add_argument("--name", help="of the new one; default: the same")
    _add_changes(cloning, "as it was")


def add_request(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the arguments that say what a job is.

    Args:
        parser: of the command.
        default: which base model it is where none is named.
    """
    add = partial(parser.add_argument)
    add(
        "--dataset",
        action="append",
        metavar="NAME@VERSION",
        help="a version to learn from, such as @demo/visits@1; may be repeated",
    )
    add("--validation", metavar="NAME@VERSION", help="a version to evaluate on, never learnt from")
    add("--base-model", metavar="MODEL", help=f"default: {default}")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the task, see --help-task of submit; may be repeated",
    )
    add("--start-from", metavar="ADAPTER", help="the adapter or checkpoint to go on from")
    add("--reward", metavar="ADAPTER", help="the reward model that judges answers")


def _add_changes(parser: argparse.ArgumentParser, default: str) -> None:
    add_request(parser, default)
    words = ("low", "normal", "high")
    parser.add_argument("--priority", choices=words, help="among your own jobs")
    _add_answer(parser)


def _add_answer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--watch", action="store_true", help="wait for its end; the exit status says how it ended"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _submit(hub: Hub, arguments: argparse.Namespace) -> int:
    if arguments.help_task is not None:
        say_options(hub.task(arguments.help_task))
        return 0
    if not arguments.name or not arguments.dataset:
        hint = "add --name and --dataset"
        raise InvalidInputError("A job needs a name and a dataset.", hint=hint)
    settings = parse_settings(hub.task(arguments.task), arguments.set)
    job = hub.jobs.submit(
        arguments.name,
        versions_of(arguments.dataset),
        task=arguments.task,
        base_model=arguments.base_model,
        validation=arguments.validation,
        start_from=arguments.start_from,
        reward=arguments.reward,
        priority=arguments.priority or "normal",
        **settings,
    )
    return _tell(job, arguments)


def _resubmit(hub: Hub, arguments: argparse.Namespace) -> int:
    return _tell(find_job(hub, arguments.job).resubmit(arguments.name), arguments)


def _clone(hub: Hub, arguments: argparse.Namespace) -> int:
    job = find_job(hub, arguments.job)
    settings = parse_settings(hub.task(job.info.task), arguments.set) if arguments.set else {}
    made = job.clone(
        arguments.name,
        dataset=versions_of(arguments.dataset) if arguments.dataset else None,
        base_model=arguments.base_model,
        validation=arguments.validation,
        start_from=arguments.start_from,
        reward=arguments.reward,
        priority=arguments.priority,
        **settings,
    )
    return _tell(made, arguments)


def versions_of(names: list[str]) -> str | list[str]:
    """Return the versions that `--dataset` named, as the client takes them."""
    return names[0] if len(names) == 1 else names


def _tell(job: Job, arguments: argparse.Namespace) -> int:
    if arguments.json:
        say_json(job.info.model_dump(mode="json"))
    else:
        reason = f" ({job.info.reason})" if job.info.reason else ""
        say(f"{job.id}: {job.info.name} is {job.state}{reason}.")
    return watch_job(job, arguments.json) if arguments.watch else 0

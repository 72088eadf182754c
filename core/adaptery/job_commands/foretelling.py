"""`adaptery jobs preflight`: what a job would do, told before it is submitted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from adaptery.connected_commands import add_action
from adaptery.errors import InvalidInputError
from adaptery.job_commands.settings import parse_settings
from adaptery.job_commands.submitting import add_request, versions_of
from adaptery.terminal import say, say_json

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers

__all__ = ["add"]

#: Exit status where something should be looked at first.
WARNED = 3


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery jobs`."""
    told = add_action(
        actions,
        "preflight",
        f"say what a job would do; exit status {WARNED} if something is odd",
        _preflight,
    )
    told.add_argument("--task", default="training-v0", help="default: training-v0")
    add_request(told, "the default one of the task")
    told.add_argument("--batch", action="store_true", help="show the first batch too")
    told.add_argument("--json", action="store_true", help="as JSON, for programs")


def _preflight(hub: Hub, arguments: argparse.Namespace) -> int:
    from adaptery.client.preflight import report_lines

    if not arguments.dataset:
        raise InvalidInputError("A pre-flight needs a dataset.", hint="add --dataset")
    options: Any = parse_settings(hub.task(arguments.task), arguments.set)
    found = hub.jobs.preflight(
        versions_of(arguments.dataset),
        task=arguments.task,
        base_model=arguments.base_model,
        validation=arguments.validation,
        start_from=arguments.start_from,
        reward=arguments.reward,
        **options,
    )
    if arguments.json:
        say_json(found.report.model_dump(mode="json"))
    else:
        for line in report_lines(found.report):
            say(line)
    if arguments.batch:
        say(f"\n{found.first_batch()!r}")
    return WARNED if found.report.warnings else 0

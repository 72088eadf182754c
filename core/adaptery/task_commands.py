"""`adaptery tasks`: what jobs can be made of. The component of the Hub adds `check`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, cast

from adaptery.connected_commands import add_action
from adaptery.job_commands.settings import say_options
from adaptery.terminal import say
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers

__all__ = ["actions_of", "register", "say_problem"]

_TITLES = ("TASK", "STAGE", "TITLE")


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    tasks = subparsers.add_parser("tasks", help="tasks: what jobs can be made of")
    actions = tasks.add_subparsers(title="actions", required=True, metavar="ACTION")
    tasks.set_defaults(actions=actions)
    add_action(actions, "list", "list the tasks that I may use", _list)
    showing = add_action(actions, "show", "show a task and its options", _show)
    showing.add_argument("task", metavar="TASK", help="its name")
    add_action(
        actions,
        "problems",
        "say what is wrong with the files of a running service; for administrators",
        _problems,
    )


def actions_of(subparsers: Subparsers) -> Subparsers:
    """Return the actions of `adaptery tasks`, so that a component can add its own."""
    return cast("Subparsers", subparsers.choices["tasks"].get_default("actions"))


def say_problem(where: str, reason: str, remedy: str) -> None:
    """Write what is wrong with a task file."""
    say(f"{where}: {reason} ({remedy})")


def _list(hub: Hub, arguments: argparse.Namespace) -> None:
    rows = [(task.name, task.stage, task.title) for task in hub.tasks()]
    for line in aligned([_TITLES, *rows]) if rows else ["No tasks."]:
        say(line)


def _show(hub: Hub, arguments: argparse.Namespace) -> None:
    say_options(hub.task(arguments.task))


def _problems(hub: Hub, arguments: argparse.Namespace) -> int:
    problems = hub.task_problems()
    for problem in problems:
        say_problem(problem.where, problem.reason, problem.remedy)
    return 1 if problems else 0

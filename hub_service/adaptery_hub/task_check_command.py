"""`adaptery tasks check`: task files before the service reads them, offline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.errors import NotFoundError
from adaptery.task_commands import actions_of, say_problem
from adaptery.terminal import say

if TYPE_CHECKING:
    from adaptery.commands import Subparsers

__all__ = ["register"]


def register(subparsers: Subparsers) -> None:
    """Add the command to those of `adaptery tasks`."""
    checking = actions_of(subparsers).add_parser(
        "check",
        help="check a folder of task files, offline",
        description="Checks task files as the service would read them, each with its file, line "
        "and remedy. Ends with 1 if one cannot be used.",
    )
    checking.add_argument("folder", type=Path, metavar="FOLDER", help="as tasks_dir would name it")
    checking.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from adaptery_hub.tasks import TaskCatalog

    folder: Path = arguments.folder
    if not folder.is_dir():
        hint = f"check the folder that it is in: {folder.parent}" if folder.exists() else None
        raise NotFoundError(f"{folder} is no folder.", hint=hint)
    catalog = TaskCatalog(folder)
    for problem in catalog.problems:
        say_problem(problem.where, problem.reason, problem.remedy)
    if catalog.problems:
        return 1
    say(f"Sound, with the shipped ones: {', '.join(task.name for task in catalog)}.")
    return 0

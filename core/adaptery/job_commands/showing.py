"""`adaptery jobs list`, `show`, `statistics` and `compare`: how jobs are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from adaptery.connected_commands import add_action
from adaptery.job_commands.naming import add_job, find_job
from adaptery.states import JobState
from adaptery.terminal import say, say_json
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.client import Hub, Job
    from adaptery.commands import Subparsers

__all__ = ["add"]

_TITLES = ("JOB", "NAME", "STATE", "PROGRESS", "EXPECTED", "ADAPTER", "REASON")


def add(actions: Subparsers) -> None:
    """Add the commands to those of `adaptery jobs`."""
    listing = add_action(actions, "list", "list jobs, and count those in each state", _list)
    listing.add_argument(
        "--state", action="append", choices=tuple(JobState), help="only these; may be repeated"
    )
    listing.add_argument("--search", help="only jobs whose name holds this")
    listing.add_argument("--task", help="only jobs of this task")
    listing.add_argument("--limit", type=int, default=50, help="how many at most; default: 50")
    _add_json(listing)
    for name, what, run in (
        ("show", "show a job", _show),
        ("statistics", "show what a job cost, and how it went", _statistics),
    ):
        parser = add_action(actions, name, what, run)
        add_job(parser)
        _add_json(parser)
    comparing = add_action(actions, "compare", "show how jobs differ, side by side", _compare)
    comparing.add_argument("jobs", nargs="+", metavar="JOB", help="ids or names")
    comparing.add_argument("--all", action="store_true", help="options that are the same, too")
    _add_json(comparing)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _list(hub: Hub, arguments: argparse.Namespace) -> None:
    jobs = hub.jobs.list(
        arguments.state, arguments.search, task=arguments.task, limit=arguments.limit
    )
    if arguments.json:
        say_json([job.info.model_dump(mode="json") for job in jobs])
        return
    counts = hub.jobs.counts().model_dump()
    told = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    if not told:
        say("There are no jobs yet: adaptery jobs submit hands one in.")
        return
    for line in aligned([_TITLES, *map(_row, jobs)]) if jobs else ["No such jobs."]:
        say(line)
    say(told)


def _row(job: Job) -> Sequence[object]:
    from adaptery.client.columns import expected_of, percent_of

    info = job.info
    position = "" if info.position is None else f" (position {info.position:,})"
    return (
        info.id,
        info.name,
        f"{info.state}{position}",
        percent_of(info.progress),
        expected_of(info),
        info.adapter,
        info.reason,
    )


def _show(hub: Hub, arguments: argparse.Namespace) -> None:
    from adaptery.client.columns import job_facts
    from adaptery.client.words import written

    job = find_job(hub, arguments.job)
    if arguments.json:
        say_json(job.info.model_dump(mode="json"))
        return
    facts = [("Name", job.info.name), *job_facts(job), ("Actions", ", ".join(job.info.actions))]
    rows: list[tuple[str, object]] = []
    for title, value in facts:
        if isinstance(value, tuple):
            first, *rest = cast("tuple[str, ...]", value) or ("",)
            rows += [(title, written(first)), *(("", entry) for entry in rest)]
        else:
            rows.append((title, written(value)))
    for line in aligned(rows):
        say(line)


def _statistics(hub: Hub, arguments: argparse.Namespace) -> None:
    statistics = find_job(hub, arguments.job).statistics()
    if arguments.json:
        say_json(statistics.model_dump(mode="json"))
        return
    for line in aligned(statistics.facts()):
        say(line)


def _compare(hub: Hub, arguments: argparse.Namespace) -> None:
    from adaptery.client.words import written

    compared = hub.jobs.compare([find_job(hub, word) for word in arguments.jobs])
    if arguments.json:
        say_json(
            [
                {
                    "job": it.job.info.model_dump(mode="json"),
                    "statistics": it.statistics.model_dump(mode="json"),
                    "different": dict(it.different),
                    "series": {name: list(points) for name, points in it.series.items()},
                }
                for it in compared
            ]
        )
        return
    told = compared.rows(all=arguments.all)
    for line in aligned([[title, *map(written, values)] for title, *values in told]):
        say(line)

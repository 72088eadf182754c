"""``adaptery usage`` on the command line: what requests cost."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.commands import Subparsers

__all__ = ["register"]

#: How many of the last columns are numbers.
SUMS = 5

DESCRIPTION = (
    "Tell what requests cost, added up. Needs ADAPTERY_URL and JUPYTERHUB_API_TOKEN in the "
    "environment; servers have them."
)


def register(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    usage = subparsers.add_parser("usage", help="what requests cost", description=DESCRIPTION)
    usage.add_argument(
        "--by",
        default="day",
        help="what is told apart, joined by commas: day, hour, key, adapter, base_model, kind, "
        "channel; of everyone also user and owner; or total",
    )
    usage.add_argument("--days", type=int, default=30, help="how many days, today included")
    usage.add_argument(
        "--from", dest="since", metavar="DAY", help="the first day, in place of --days"
    )
    usage.add_argument("--to", dest="until", metavar="DAY", help="the last day; default: today")
    whose = usage.add_mutually_exclusive_group()
    whose.add_argument(
        "--adapters",
        action="store_true",
        help="of the adapters that I manage: how much, by the day, not by whom",
    )
    whose.add_argument("--everyone", action="store_true", help="of all users; for administrators")
    usage.add_argument("--adapter", help="only with this adapter: an id")
    usage.add_argument("--key", help="only by this own key: an id")
    usage.add_argument("--csv", action="store_true", help="write CSV")
    usage.set_defaults(run=_usage)


def _usage(arguments: argparse.Namespace) -> int:
    from adaptery.client import connect

    of = "everyone" if arguments.everyone else "adapters" if arguments.adapters else "mine"
    with connect() as hub:
        found = hub.usage(
            arguments.by,
            days=arguments.days,
            of=of,
            since=arguments.since,
            until=arguments.until,
            adapter=arguments.adapter,
            key=arguments.key,
        )
    lines = aligned(found.table(), SUMS)
    sys.stdout.write(found.to_csv() if arguments.csv else "".join(f"{line}\n" for line in lines))
    return 0

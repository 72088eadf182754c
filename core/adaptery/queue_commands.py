"""``adaptery queues …`` on the command line."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.terminal import printable
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.queues import Queue

__all__ = ["register"]

ENVIRONMENT = (
    "Needs ADAPTERY_URL and JUPYTERHUB_API_TOKEN in the environment; all but `list` a token with "
    "the scope custom:adaptery:admin."
)
TITLES = ("QUEUE", "STATE", "SINCE", "QUEUED", "TRAINING", "AGENTS", "OLDEST WAITS SINCE", "REASON")


def register(subparsers: Subparsers) -> None:
    """Add the commands about queues to the command line."""
    queues = subparsers.add_parser("queues", help="where jobs wait; pause, empty and open them")
    actions = queues.add_subparsers(title="actions", required=True, metavar="ACTION")
    add = partial(add_action, actions, environment=ENVIRONMENT)
    add("list", "list queues with their states and how many jobs wait", _list)
    pausing = add("pause", "give no job of a queue out; those that train go on", _pause)
    draining = add("drain", "pause a queue, and let what trains save and wait again", _drain)
    opening = add("open", "give the jobs of a queue out again", _open)
    for parser in (pausing, draining, opening):
        parser.add_argument("queue", metavar="QUEUE", help="its name, as the list has it")
    for parser in (pausing, draining):
        parser.add_argument("--reason", help="shown to those whose jobs wait")


def _list(hub: Hub, arguments: argparse.Namespace) -> None:
    _say([TITLES, *map(_cells, hub.queues.list())])


def _pause(hub: Hub, arguments: argparse.Namespace) -> None:
    _say([TITLES, _cells(hub.queues.pause(arguments.queue, arguments.reason))])


def _drain(hub: Hub, arguments: argparse.Namespace) -> None:
    _say([TITLES, _cells(hub.queues.drain(arguments.queue, arguments.reason))])


def _open(hub: Hub, arguments: argparse.Namespace) -> None:
    _say([TITLES, _cells(hub.queues.open(arguments.queue))])


def _cells(queue: Queue) -> tuple[object, ...]:
    times = (queue.changed_at, queue.waits_since)
    since, waits = (at and f"{at:%Y-%m-%d %H:%M}" for at in times)
    counts = (queue.queued, queue.training, queue.agents)
    return (queue.name, queue.state, since, *counts, waits, queue.reason)


def _say(rows: list[tuple[object, ...]]) -> None:
    for line in aligned(rows):
        sys.stdout.write(f"{printable(line)}\n")

"""``adaptery keys …`` on the command line: own keys, for programs outside the Hub.

What always holds: a secret is written to standard output once, alone on its line, and is never an
argument: command lines are seen by everyone on a machine.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.keys import Key, NewKey

__all__ = ["register"]


def register(subparsers: Subparsers) -> None:
    """Add the commands about keys to the command line."""
    keys = subparsers.add_parser("keys", help="own keys, for programs outside the Hub")
    actions = keys.add_subparsers(title="actions", required=True, metavar="ACTION")
    add = partial(add_action, actions)
    listing = add("list", "list my keys; secrets are not shown", _list)
    listing.add_argument(
        "--everyone", action="store_true", help="the keys of all users; for administrators"
    )
    creating = add("create", "make a key and write its secret, once", _create)
    creating.add_argument("name", metavar="NAME", help="what you call it")
    creating.add_argument(
        "--adapter",
        action="append",
        required=True,
        help="an adapter, by name or id; may be repeated",
    )
    creating.add_argument(
        "--verb",
        action="append",
        choices=("infer", "read", "embed"),
        help="what it may do: ask its adapters, list them (the default is both), or ask embedding "
        "models",
    )
    creating.add_argument("--days", type=int, help="how long it lives; default: as long as it may")
    creating.add_argument("--tokens-per-day", type=int, help="default: no limit")
    creating.add_argument("--requests-per-minute", type=int, help="default: no limit")
    rotating = add("rotate", "give a key a new secret and write it, once", _rotate)
    rotating.add_argument("key", metavar="KEY", help="the id of the key")
    rotating.add_argument(
        "--overlap-minutes",
        type=int,
        default=0,
        help="how long the old secret goes on working, at most 1440",
    )
    revoking = add("revoke", "end a key at once", _revoke)
    revoking.add_argument("key", metavar="KEY", help="the id of the key")


def _list(hub: Hub, arguments: argparse.Namespace) -> None:
    found = hub.keys.list(everyone=arguments.everyone)
    for key in found:
        sys.stdout.write(f"{_line(key)}\n")
    if not found:
        sys.stderr.write("No keys.\n")


def _create(hub: Hub, arguments: argparse.Namespace) -> None:
    made = hub.keys.create(
        arguments.name,
        arguments.adapter,
        verbs=arguments.verb or ("infer", "read"),
        expires_in_days=arguments.days,
        tokens_per_day=arguments.tokens_per_day,
        requests_per_minute=arguments.requests_per_minute,
    )
    _show(made)


def _rotate(hub: Hub, arguments: argparse.Namespace) -> None:
    _show(hub.keys.rotate(arguments.key, overlap_minutes=arguments.overlap_minutes))


def _revoke(hub: Hub, arguments: argparse.Namespace) -> None:
    hub.keys.revoke(arguments.key)
    sys.stderr.write("revoked\n")


def _show(made: NewKey) -> None:
    """Write the secret where a pipe takes it, and the rest where a person reads it."""
    sys.stderr.write(f"{_line(made)}\nThe secret is shown only now:\n")
    sys.stdout.write(f"{made.secret}\n")


def _line(key: Key) -> str:
    adapters = ", ".join(adapter.name or adapter.id for adapter in key.adapters)
    state = (
        f"revoked {key.revoked_at:%Y-%m-%d}"
        if key.revoked_at
        else f"until {key.expires_at:%Y-%m-%d}"
    )
    return f"{key.id}  {key.prefix}  {state}  {key.owner}  {key.name}  ({adapters})"

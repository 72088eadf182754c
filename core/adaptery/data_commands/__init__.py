"""`adaptery data`: files of records on this machine, and what is done with datasets.

`check` needs no service; every other action talks to one by the client, and is a module here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptery.data_commands import check, diff, erase, lineage, listing, publish, pull, push, review

if TYPE_CHECKING:
    from adaptery.commands import Subparsers

__all__ = ["register"]


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    data = subparsers.add_parser("data", help="check files; curate, publish and fetch datasets")
    actions = data.add_subparsers(title="actions", required=True, metavar="ACTION")
    for module in (check, listing, push, review, publish, diff, pull, lineage, erase):
        module.add(actions)

"""`adaptery data`: files of records on this machine, and what is done with datasets.

`check` needs no service; every other action talks to one by the client, and is a module here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from adaptery.data_commands import check, diff, erase, lineage, listing, publish, pull, push, review

if TYPE_CHECKING:
    from adaptery.commands import Subparsers

__all__ = ["register"]


class _AnyOrderParser(argparse.ArgumentParser):
    """Takes `pull NAME --format alpaca TARGET` like `pull NAME TARGET --format alpaca`.

    An argument that may be left out is otherwise taken to be left out at the first option.
    """

    _in_any_order = False

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        if self._in_any_order:  # the method below comes back here
            return super().parse_known_args(args, namespace)
        self._in_any_order = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._in_any_order = False


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    data = subparsers.add_parser("data", help="check files; curate, publish and fetch datasets")
    actions = data.add_subparsers(
        title="actions", required=True, metavar="ACTION", parser_class=_AnyOrderParser
    )
    for module in (check, listing, push, review, publish, diff, pull, lineage, erase):
        module.add(actions)

"""Commands that talk to the service: each connects by the environment, runs and disconnects."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers

__all__ = ["add_action"]


def add_action(
    actions: Subparsers,
    name: str,
    help: str,
    run: Callable[[Hub, argparse.Namespace], None],
    *,
    environment: str,
) -> argparse.ArgumentParser:
    """Add one action and return its parser.

    Args:
        actions: where it goes.
        name: what users write.
        help: what it does, in a line of the list of actions.
        run: does it, with a connected client.
        environment: what it needs, said after the help.
    """

    def connected(arguments: argparse.Namespace) -> int:
        from adaptery.client import connect

        with connect() as hub:
            run(hub, arguments)
        return 0

    description = f"{help[0].upper()}{help[1:]}. {environment}"
    parser = actions.add_parser(name, help=help, description=description)
    parser.set_defaults(run=connected)
    return parser

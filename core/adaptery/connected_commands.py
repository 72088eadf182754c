"""Commands that talk to the service: each connects by the environment, runs and disconnects."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from adaptery.errors import AdapteryError
from adaptery.terminal import printable

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.client.operations import WaitInterrupted
    from adaptery.commands import Subparsers

__all__ = ["ENVIRONMENT", "INTERRUPTED", "WAIT_SECONDS", "add_action"]

#: The exit status after Ctrl+C: 128 + SIGINT, as shells say it.
INTERRUPTED = 130
#: How long a command waits for an operation; whoever has enough interrupts it.
WAIT_SECONDS = 7 * 86_400.0
#: What a command needs that does nothing else than any user may.
ENVIRONMENT = "Needs ADAPTERY_URL and JUPYTERHUB_API_TOKEN in the environment; servers have them."


def add_action(
    actions: Subparsers,
    name: str,
    help: str,
    run: Callable[[Hub, argparse.Namespace], int | None],
    *,
    environment: str = ENVIRONMENT,
) -> argparse.ArgumentParser:
    """Add one action and return its parser.

    Args:
        actions: where it goes.
        name: what users write.
        help: what it does, in a line of the list of actions.
        run: does it, with a connected client; returns the exit status, if that is not 0.
        environment: what it needs, said after the help.
    """

    def connected(arguments: argparse.Namespace) -> int:
        from adaptery.client import connect
        from adaptery.client.operations import WaitInterrupted

        with connect() as hub:
            try:
                return run(hub, arguments) or 0
            except WaitInterrupted as interrupted:
                sys.stderr.write(f"{printable(_cancelled(interrupted))}\n")
                return INTERRUPTED

    description = f"{help[0].upper()}{help[1:]}. {environment}"
    parser = actions.add_parser(name, help=help, description=description)
    parser.set_defaults(run=connected)
    return parser


def _cancelled(interrupted: WaitInterrupted) -> str:
    """Cancel what was waited for, and say how that ended."""
    sys.stderr.write("Interrupted; the service is told to stop.\n")
    try:
        ended = interrupted.cancel()
    except KeyboardInterrupt:
        return "Interrupted again, before the service said that it stopped: it may go on."
    except AdapteryError as error:
        return f"It could not be told, and may go on: {error.message}"
    if ended.state == "cancelled":
        return "Cancelled on the service."
    return f"It was over already: {ended.state}."

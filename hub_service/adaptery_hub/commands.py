"""What is done on the Hub's host, without the service: `adaptery audit …`, `tasks check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptery_hub import audit_commands, task_check_command

if TYPE_CHECKING:
    from adaptery.commands import Subparsers

__all__ = ["register"]


def register(subparsers: Subparsers) -> None:
    """Add the commands of the Hub's host to the command line."""
    audit_commands.register(subparsers)
    task_check_command.register(subparsers)

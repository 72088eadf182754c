"""`adaptery jobs`: training, from the submit to the adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptery.job_commands import ending, foretelling, showing, submitting, watching

if TYPE_CHECKING:
    from adaptery.commands import Subparsers

__all__ = ["register"]


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    jobs = subparsers.add_parser("jobs", help="submit, watch, compare and end jobs of training")
    actions = jobs.add_subparsers(title="actions", required=True, metavar="ACTION")
    for module in (submitting, foretelling, showing, watching, ending):
        module.add(actions)

"""`adaptery data erase`: erases a dataset for good, and tells what remains."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.errors import InvalidInputError
from adaptery.terminal import printable, say, watched
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.stores import Erasure

__all__ = ["add"]

_ENVIRONMENT = (
    "Asks for its full name once more, on standard input. Needs ADAPTERY_URL and "
    "JUPYTERHUB_API_TOKEN in the environment; servers have them."
)


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    parser = add_action(
        actions,
        "erase",
        "erase a dataset for good: its key, draft, files and versions",
        _erase,
        environment=_ENVIRONMENT,
    )
    parser.add_argument("dataset", help="its full name, such as @demo/visits")


def _erase(hub: Hub, arguments: argparse.Namespace) -> None:
    dataset = hub.datasets.get(arguments.dataset)
    name = printable(dataset.full_name)
    sys.stdout.write(
        f"Its key, draft, files and versions are destroyed; nobody can bring {name} back.\n"
        f"Type {name} to go on: "
    )
    sys.stdout.flush()
    typed = sys.stdin.readline().strip()
    if typed != dataset.full_name:
        raise InvalidInputError("The name does not match; nothing was erased.")
    sys.stdout.write("\n")
    say(told(dataset.erase(typed, progress=watched())).removesuffix("\n"))


def told(erasure: Erasure) -> str:
    """Return what was destroyed, and what remains, as text."""
    key = "its key, " if erasure.key_destroyed else ""
    lines = [
        f"Erased {erasure.dataset}: {key}{erasure.records:,} records of the draft, "
        f"{erasure.files:,} files, {len(erasure.versions):,} versions "
        f"({erasure.objects:,} files in the store, {erasure.bytes:,} bytes).",
        "What remains:",
        *aligned(
            [
                ["what", "which", "until", "why"],
                *(
                    [
                        left.kind.replace("_", " "),
                        left.name,
                        f"{left.until:%Y-%m-%d}" if left.until else "-",
                        left.why,
                    ]
                    for left in erasure.remains
                ),
            ]
        ),
    ]
    return "".join(f"{line}\n" for line in lines)

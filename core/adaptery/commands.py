"""The command `adaptery`.

Core brings `adaptery adapters`, `adaptery data`, `adaptery jobs`, `adaptery queues`, `adaptery
keys`, `adaptery usage`, `adaptery tasks` and `adaptery tenant`. The other components add theirs
through the entry-point group `adaptery.commands`: each entry is a function `register(subparsers)`
that adds parsers and sets, for each, `set_defaults(run=function)`; the function takes the parsed
arguments and returns the exit status.

What always holds: an error of ours ends with status 1 and its message on stderr, never with a
traceback; secrets are never taken from the command line.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

import adaptery
from adaptery import (
    adapter_commands,
    data_commands,
    job_commands,
    key_commands,
    queue_commands,
    task_commands,
    tenant_commands,
    usage_commands,
)
from adaptery.errors import AdapteryError, MissingExtraError
from adaptery.terminal import printable

__all__ = ["ENTRY_POINTS", "Subparsers", "build_parser", "main"]

#: The entry-point group of commands.
ENTRY_POINTS = "adaptery.commands"

Run = Callable[[argparse.Namespace], int]


class Subparsers(Protocol):
    """What `register` gets: argparse's collection of commands."""

    @property
    def choices(self) -> Mapping[str, argparse.ArgumentParser]:
        """The commands that are registered, by name."""
        ...

    def add_parser(
        self, name: str, *, help: str = ..., description: str = ..., add_help: bool = ...
    ) -> argparse.ArgumentParser:
        """Add a command and return its parser."""
        ...


def _register_missing(subparsers: Subparsers, name: str) -> None:
    def run(arguments: argparse.Namespace) -> int:
        raise MissingExtraError.for_extra(name, f"adaptery {name}")

    parser = subparsers.add_parser(name, help=f"(needs adaptery[{name}])", add_help=False)
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def _register_entry(subparsers: Subparsers, entry: EntryPoint) -> None:
    try:
        register = cast("Callable[[Subparsers], None]", entry.load())
    except (ImportError, MissingExtraError):
        _register_missing(subparsers, entry.name)
    else:
        register(subparsers)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands that are installed."""
    parser = argparse.ArgumentParser(prog="adaptery", description="Adaptery on the command line.")
    parser.add_argument("--version", action="version", version=f"adaptery {adaptery.__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    adapter_commands.register(subparsers)
    data_commands.register(subparsers)
    job_commands.register(subparsers)
    queue_commands.register(subparsers)
    key_commands.register(subparsers)
    usage_commands.register(subparsers)
    task_commands.register(subparsers)
    tenant_commands.register(subparsers)
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda found: found.name):
        _register_entry(subparsers, entry)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = build_parser().parse_args(argv)
    try:
        status = cast("Run", arguments.run)(arguments)
        sys.stdout.flush()
        return status
    except AdapteryError as exc:
        sys.stderr.write(f"adaptery: {printable(str(exc))}\n")
        return 1
    except BrokenPipeError:  # whoever read the output, such as `head`, has enough
        # What is still to be written is lost, and Python would complain of it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # 128 + SIGPIPE, as shells say it
    except OSError as exc:  # a disk that is full, a folder that is not there
        where = f": {exc.filename}" if exc.filename else ""
        sys.stderr.write(f"adaptery: {printable(f'{exc.strerror}{where}')}\n")
        return 1
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells say it


if __name__ == "__main__":
    sys.exit(main())

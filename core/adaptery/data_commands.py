"""`adaptery data`: files of records on this machine, and what is done with datasets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adaptery.erase_command import add_erase
from adaptery.errors import InvalidInputError

if TYPE_CHECKING:
    from adaptery.commands import Subparsers
    from adaptery.schemas.mappings import Format, Suggestion

__all__ = ["register"]

#: Problems that `check` prints; the rest is counted.
PROBLEMS_SHOWN = 20
#: As in `adaptery.schemas.mappings`, which is not imported before a command needs it.
_FORMATS = ("alpaca", "sharegpt", "openai", "prompt", "preference", "kto", "text")


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    data = subparsers.add_parser("data", help="look at data files; erase datasets")
    actions = data.add_subparsers(title="actions", required=True, metavar="ACTION")
    check = actions.add_parser(
        "check",
        help="check a file as an upload would, without a service",
        description="Checks a file as an upload would: format, columns, records, problems by "
        "record number.",
    )
    check.add_argument(
        "file", type=Path, metavar="FILE", help="JSON, CSV, Parquet, Arrow, text, a .zip or folder"
    )
    check.add_argument("--format", choices=_FORMATS, help="default: told from the file")
    check.set_defaults(run=_check)
    add_erase(actions)


def _check(arguments: argparse.Namespace) -> int:
    from adaptery.formats import suggest

    path = cast("Path", arguments.file)
    if not path.exists():
        raise InvalidInputError("The file does not exist.", hint="check the path")
    suggestion = suggest(path, format=cast("Format | None", arguments.format))
    _tell(suggestion)
    if suggestion.mapping is None:
        raise InvalidInputError(
            "The format of the file is not known.", hint="rename its columns, or name --format"
        )
    return _check_records(path, suggestion)


def _check_records(path: Path, suggestion: Suggestion) -> int:
    from adaptery.digests import content_digest
    from adaptery.formats import read_records

    assert suggestion.mapping is not None
    ids: list[str] = []
    problems = 0
    ignored: set[str] = set()
    for read in read_records(path, suggestion.mapping):
        ignored |= set(read.ignored)
        if read.record is not None:
            ids.append(read.record.record_id())
        elif read.problem is not None:
            problems += 1
            if problems <= PROBLEMS_SHOWN:
                _say(f"{read.problem.where}: {read.problem.reason} {read.problem.remedy}")
    if problems > PROBLEMS_SHOWN:
        _say(f"... and {problems - PROBLEMS_SHOWN} more")
    if ignored:
        _say(f"columns that are not used: {', '.join(sorted(ignored))}")
    # What a version would hold: duplicates dropped, the first one kept.
    unique = list(dict.fromkeys(ids))
    _say(
        f"{suggestion.mapping.format}: {len(ids)} records, {len(ids) - len(unique)} duplicates,"
        f" {problems} problems"
    )
    if not problems:
        _say(f"content digest {content_digest(unique)}")
    return 1 if problems or not ids else 0


def _tell(suggestion: Suggestion) -> None:
    """Say how the file is read, where that is not what its names say."""
    for member in suggestion.members:
        read_as = member.mapping.format if member.mapping is not None else "not read"
        _say(f"{member.name}: {read_as}. {member.why}")
    if not suggestion.confident:
        _say(suggestion.why)
    mapping = suggestion.mapping
    if mapping is not None and not suggestion.confident and not mapping.parts:
        columns = ", ".join(f"{name} = {column}" for name, column in mapping.columns.items())
        _say(f"read as {mapping.format}: {columns}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")

"""`adaptery data check`: says what an upload of a file would say, without a service."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adaptery.errors import InvalidInputError
from adaptery.terminal import say

if TYPE_CHECKING:
    from adaptery.commands import Subparsers
    from adaptery.schemas.mappings import Format, Mapping

__all__ = ["FORMATS", "add"]

#: Problems that `check` prints; the rest is counted.
PROBLEMS_SHOWN = 20
#: As in `adaptery.schemas.mappings`, which is not imported before a command needs it.
FORMATS = ("alpaca", "sharegpt", "openai", "prompt", "preference", "kto", "text")


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    check = actions.add_parser(
        "check",
        help="check a file as an upload would, without a service",
        description="Checks a file as an upload would: format, columns, records, problems by "
        "record number.",
    )
    check.add_argument(
        "file", type=Path, metavar="FILE", help="JSON, CSV, Parquet, Arrow, text, a .zip or folder"
    )
    check.add_argument("--format", choices=FORMATS, help="default: told from the file")
    check.add_argument(
        "--mapping", type=Path, metavar="FILE", help="read it by this mapping, a JSON file"
    )
    check.add_argument(
        "--save-mapping",
        type=Path,
        metavar="FILE",
        help="write how it is read there, to be changed and given to --mapping",
    )
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from adaptery.data_commands.mappings import read_mapping, write_mapping

    path = cast("Path", arguments.file)
    if not path.exists():
        raise InvalidInputError("The file does not exist.", hint="check the path")
    if arguments.mapping is None:
        mapping = _suggested(path, cast("Format | None", arguments.format))
    else:
        mapping = read_mapping(arguments.mapping)
    if arguments.save_mapping is not None:
        write_mapping(arguments.save_mapping, mapping)
    return _check_records(path, mapping)


def _suggested(path: Path, format: Format | None) -> Mapping:
    from adaptery.data_commands.mappings import tell
    from adaptery.formats import suggest

    suggestion = suggest(path, format=format)
    tell(suggestion)
    if suggestion.mapping is None:
        raise InvalidInputError(
            "The format of the file is not known.", hint="rename its columns, or name --format"
        )
    return suggestion.mapping


def _check_records(path: Path, mapping: Mapping) -> int:
    from adaptery.digests import content_digest
    from adaptery.formats import read_records

    ids: list[str] = []
    problems = 0
    ignored: set[str] = set()
    for read in read_records(path, mapping):
        ignored |= set(read.ignored)
        if read.record is not None:
            ids.append(read.record.record_id())
        elif read.problem is not None:
            problems += 1
            if problems <= PROBLEMS_SHOWN:
                say(f"{read.problem.where}: {read.problem.reason} {read.problem.remedy}")
    if problems > PROBLEMS_SHOWN:
        say(f"... and {problems - PROBLEMS_SHOWN} more")
    if ignored:
        say(f"columns that are not used: {', '.join(sorted(ignored))}")
    # What a version would hold: duplicates dropped, the first one kept.
    unique = list(dict.fromkeys(ids))
    say(
        f"{mapping.format}: {len(ids)} records, {len(ids) - len(unique)} duplicates,"
        f" {problems} problems"
    )
    if not problems:
        say(f"content digest {content_digest(unique)}")
    return 1 if problems or not ids else 0

"""`adaptery data push`: sends a file into the draft of a dataset, and makes the dataset at need.

What always holds:
- How a file is read is asked about unless its names leave no doubt, or somebody said it.
- Records are shown only to a terminal: what goes into a pipe may be kept in a log.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adaptery.connected_commands import INTERRUPTED, WAIT_SECONDS, add_action
from adaptery.csv_text import csv_lines
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.files import write_atomic
from adaptery.terminal import can_answer, confirmed, say, watched

if TYPE_CHECKING:
    from adaptery.client import Dataset, Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.datasets import FileInfo
    from adaptery.schemas.imports import FileProblem, FileSuggestion
    from adaptery.schemas.mappings import Mapping

__all__ = ["add"]

SENSITIVITIES = ("open", "internal", "restricted")
PREVIEWED = 2


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    parser = add_action(actions, "push", "send a file or folder into the draft of a dataset", _push)
    parser.add_argument("file", type=Path, metavar="FILE", help="as for `check`; or a folder")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="the dataset; default: called like the file"
    )
    parser.add_argument(
        "--sensitivity", choices=SENSITIVITIES, help="of a new dataset; default: internal"
    )
    parser.add_argument("--tenant", help="the group that owns a new dataset; default: you")
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="read it by this; `check` can write one"
    )
    parser.add_argument("--yes", action="store_true", help="read it as suggested, without asking")
    parser.add_argument(
        "--skip-bad", action="store_true", help="go on without records that are not valid"
    )
    parser.add_argument(
        "--problems", type=Path, metavar="FILE", help="write what is not valid there, as CSV"
    )


def _push(hub: Hub, arguments: argparse.Namespace) -> int:
    path = cast("Path", arguments.file)
    if not path.exists():
        raise InvalidInputError("The file does not exist.", hint="check the path")
    mapping = _given_mapping(arguments)
    dataset = _dataset(hub, path, arguments)
    try:
        info = dataset.upload(path, later=True, progress=watched())
    except KeyboardInterrupt:
        sys.stderr.write(
            "Interrupted. What was sent is kept for a while: push it again to go on.\n"
        )
        return INTERRUPTED
    if info.state == "ready":
        say(
            f"{info.name} is in the draft of {dataset.full_name} already: {info.records:,} records."
        )
        return 0
    mapping = mapping or _agreed_mapping(dataset, info, arguments)
    return _import(dataset, info, mapping, arguments)


# -- which dataset ----------------------------------------------------------------------------


def _dataset(hub: Hub, path: Path, arguments: argparse.Namespace) -> Dataset:
    """Return the dataset that is meant; a name alone is one's own, and it is made if need be."""
    from adaptery.ids import is_id

    name = cast("str | None", arguments.name) or _name_of(path)
    if is_id(name, "ds"):
        return _checked(hub.datasets.get(name), arguments)
    tenant, name = _owner_and_name(hub, name, arguments)
    try:
        return _checked(hub.datasets.get(f"{tenant}/{name}"), arguments)
    except NotFoundError:
        sensitivity = cast("str | None", arguments.sensitivity) or "internal"
        say(f"There is no dataset {tenant}/{name} yet: it is made now, as {sensitivity}.")
        return hub.datasets.create(name, tenant=tenant, sensitivity=sensitivity)


def _checked(dataset: Dataset, arguments: argparse.Namespace) -> Dataset:
    there = dataset.info.sensitivity
    if arguments.sensitivity not in (None, there):
        raise InvalidInputError(
            f"{dataset.full_name} is there already, and it is {there}.",
            hint="leave --sensitivity out, or change it in the Curate view first",
        )
    return dataset


def _owner_and_name(hub: Hub, text: str, arguments: argparse.Namespace) -> tuple[str, str]:
    from adaptery.names import parse_name

    parsed = parse_name(text)
    if parsed.version is not None:
        raise InvalidInputError("Files go into the draft.", hint="name the dataset without @…")
    if parsed.tenant is None:
        return cast("str | None", arguments.tenant) or hub.whoami().tenant, parsed.name
    if arguments.tenant is not None:
        raise InvalidInputError("The owner is said twice.", hint="leave --tenant out")
    return f"{'@' if parsed.personal else ''}{parsed.tenant}", parsed.name


def _name_of(path: Path) -> str:
    """Return what a dataset is called by default: the name of its file, in our letters."""
    from adaptery.names import NAME_LIMIT

    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    letters = "".join(mark if mark.isascii() and mark.isalnum() else "-" for mark in stem.lower())
    return "-".join(filter(None, letters.split("-")))[:NAME_LIMIT].strip("-") or "dataset"


# -- how it is read ---------------------------------------------------------------------------


def _given_mapping(arguments: argparse.Namespace) -> Mapping | None:
    from adaptery.data_commands.mappings import read_mapping

    if arguments.mapping is None:
        return None
    mapping = read_mapping(arguments.mapping)
    # A folder is sent as an archive.
    packed = mapping.container == "folder"
    return mapping.model_copy(update={"container": "zip"}) if packed else mapping


def _agreed_mapping(dataset: Dataset, info: FileInfo, arguments: argparse.Namespace) -> Mapping:
    from adaptery.data_commands.mappings import tell

    suggestion = dataset.suggestion(info)
    tell(suggestion)
    if suggestion.mapping is None:
        raise InvalidInputError(
            "The format of the file is not known; nothing was imported.",
            hint="rename its columns, or push it again with --mapping",
        )
    if suggestion.confident:
        say(f"{info.name} is read as {suggestion.mapping.format}.")
    _show(suggestion)
    if not (suggestion.confident or arguments.yes):
        _ask(info)
    return suggestion.mapping


def _show(suggestion: FileSuggestion) -> None:
    from adaptery.data_commands.showing import record_lines

    if not sys.stdout.isatty():
        return
    for item in suggestion.preview[:PREVIEWED]:
        say(f"Record {item.number}:")
        if item.record is not None:
            say("\n".join(record_lines(item.record)))
        elif item.problem is not None:
            say(_problem_line(item.problem))


def _ask(info: FileInfo) -> None:
    hint = "push it again with --yes, or with the --mapping that `adaptery data check` writes"
    if not can_answer():
        raise InvalidInputError(
            f"It is not certain how to read {info.name}; nothing was imported.", hint=hint
        )
    if not confirmed("Is it to be read so?"):
        raise InvalidInputError("Nothing was imported; only the file was sent.", hint=hint)


# -- import -----------------------------------------------------------------------------------


def _import(
    dataset: Dataset, info: FileInfo, mapping: Mapping, arguments: argparse.Namespace
) -> int:
    try:
        done = dataset.import_file(
            info,
            mapping,
            bad_records="skip" if arguments.skip_bad else "refuse",
            timeout_seconds=WAIT_SECONDS,
            progress=watched(),
        )
    except InvalidInputError as error:
        found = _tell_problems(dataset.problems(info), arguments)
        if not found:
            raise
        hint = "mend them and push the file again, or push it with --skip-bad"
        raise InvalidInputError(error.message, hint=hint) from None
    if done.problems:
        _tell_problems(dataset.problems(info), arguments)
    left_out = f", {done.problems:,} left out that are not valid" if done.problems else ""
    say(f"{done.name}: {done.records:,} records are in the draft of {dataset.full_name}{left_out}.")
    return 0


def _tell_problems(problems: Iterable[FileProblem], arguments: argparse.Namespace) -> int:
    """Say every bad record, or write them all to a file; return how many there are."""
    target = cast("Path | None", arguments.problems)
    if target is None:
        count = 0
        for problem in problems:
            count += 1
            say(_problem_line(problem))
        return count
    from adaptery.schemas.imports import PROBLEM_COLUMNS

    rows = [(p.number, p.where, p.reason, p.remedy) for p in problems]
    if rows:
        write_atomic(target, csv_lines([PROBLEM_COLUMNS, *rows]).encode(), mode=0o644)
        say(f"{len(rows):,} problems are written to {target}.")
    return len(rows)


def _problem_line(problem: FileProblem) -> str:
    return f"{problem.where}: {problem.reason} {problem.remedy}".rstrip()

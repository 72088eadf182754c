"""`adaptery data pull`: fetches a version, as a folder or as a file of another format.

What always holds:
- Every file is checked against the manifest, and the manifest's signature, before anything has its
  final name; an interruption leaves nothing.
- Another format is written here, from the files that were checked.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adaptery.connected_commands import add_action
from adaptery.data_commands.check import FORMATS
from adaptery.errors import IntegrityError, InvalidInputError, MissingExtraError
from adaptery.terminal import say, watched

if TYPE_CHECKING:
    from adaptery.client import Hub, Version
    from adaptery.commands import Subparsers
    from adaptery.formats import WriteReport
    from adaptery.records import Record
    from adaptery.schemas.mappings import Container, Format
    from adaptery.signing import VerifyKey

__all__ = ["CONTAINERS", "add"]

#: As in `adaptery.schemas.mappings`, without the archive.
CONTAINERS = ("json", "jsonl", "csv", "tsv", "parquet", "arrow", "txt", "folder")
SPLITS = ("train", "validation", "test", "none")


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    parser = add_action(actions, "pull", "fetch a version, checked against its manifest", _pull)
    parser.add_argument(
        "version", metavar="NAME[@VERSION]", help="without a number the newest that is in use"
    )
    parser.add_argument(
        "target",
        nargs="?",
        type=Path,
        metavar="TARGET",
        help="folder or file to make; default: name and number of the version, here",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="write records so; default: the files as published"
    )
    parser.add_argument(
        "--container", choices=CONTAINERS, help="what they are written in; default: jsonl"
    )
    parser.add_argument(
        "--split",
        choices=SPLITS,
        help="with --format or --container: only this split; none: what is in no split",
    )
    parser.add_argument(
        "--originals", action="store_true", help="also the uploaded files; needs the right to edit"
    )
    parser.add_argument(
        "--key", metavar="ed25519:KEY", help="the key that must have signed the manifest"
    )


def _pull(hub: Hub, arguments: argparse.Namespace) -> None:
    version = hub.datasets.version(arguments.version)
    plain = arguments.format is None and arguments.container is None
    if arguments.originals and not plain:
        raise InvalidInputError("Originals come with the files as they were published only.")
    if arguments.split is not None and plain:
        raise InvalidInputError(
            "The files as they were published come with all splits.", hint="add --container jsonl"
        )
    if version.info.state == "withdrawn":
        say(f"{version.name} is withdrawn: {version.info.reason or 'no reason is told'}")
    trusted = _signer(version, cast("str | None", arguments.key))
    if plain:
        _fetch(version, arguments, trusted)
    else:
        _translate(version, arguments, trusted)
    if trusted is None:
        say("The signature was not checked: that needs adaptery[sealed]. The digests were.")
    else:
        say(f"Every file is as it was signed by {trusted.text}.")


def _fetch(version: Version, arguments: argparse.Namespace, trusted: VerifyKey | None) -> None:
    target = _target(version, arguments, "")
    folder = version.download(
        target, originals=arguments.originals, trusted=trusted, progress=watched()
    )
    say(f"{version.name}: {version.info.records:,} records are in {folder}.")
    say(f'datasets.load_dataset("{folder}") loads it.')


def _signer(version: Version, key: str | None) -> VerifyKey | None:
    """Return the key to check by: the one that was said, or the one that the manifest names."""
    try:
        from adaptery.signing import VerifyKey
    except MissingExtraError:
        if key is not None:
            raise
        return None
    if key is not None:
        return VerifyKey.from_text(key)
    signature = version.manifest().get("signature")
    if signature is None:
        raise IntegrityError("The manifest is not signed.")
    return VerifyKey.from_text(signature["key"])


def _target(version: Version, arguments: argparse.Namespace, suffix: str) -> Path:
    from adaptery.names import parse_name

    given = cast("Path | None", arguments.target)
    thing = parse_name(version.name)  # checked: it becomes a path
    target = Path(f"{thing.name}-{thing.version}{suffix}") if given is None else given
    if target.exists():
        raise InvalidInputError(f"{target} exists.", hint="name one that does not")
    return target


# -- another format ---------------------------------------------------------------------------


def _translate(version: Version, arguments: argparse.Namespace, trusted: VerifyKey | None) -> None:
    from adaptery.formats import write_folder, write_records
    from adaptery.formats.writing import SUFFIXES
    from adaptery.ids import new_id

    format = cast("Format", arguments.format or "openai")
    container = cast("Container", arguments.container or "jsonl")
    target = _target(version, arguments, SUFFIXES[container])
    checked = target.with_name(f".{target.name}.{new_id('dv')}")
    try:
        version.download(checked, trusted=trusted, progress=watched())
        splits = _splits(checked, cast("str | None", arguments.split))
        if container == "folder":
            report = write_folder(
                {split: _records(checked, paths) for split, paths in splits.items()}, target, format
            )
        else:
            every = [path for paths in splits.values() for path in paths]
            report = write_records(_records(checked, every), target, format, container)
    finally:
        shutil.rmtree(checked, ignore_errors=True)
    say(f"{version.name}: {report.records:,} records are in {target}, as {format}.")
    if len(splits) > 1:
        how = "a file for each of" if container == "folder" else "together in one file:"
        say(f"{how} the splits {', '.join(splits)}")
        if container != "folder":
            say("--split takes one of them, --container folder keeps them apart")
    _tell(report)


def _splits(folder: Path, wanted: str | None) -> dict[str, list[str]]:
    """Return the files of the records of a version by split."""
    from adaptery.manifests import WHOLE, is_shard, split_of, splits_of

    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    splits = splits_of(filter(is_shard, paths))
    if wanted is None:
        return splits
    name = WHOLE if wanted == "none" else wanted
    found = {split: paths for split, paths in splits.items() if split_of(paths[0]) == name}
    if not found:
        raise InvalidInputError(
            f"No record of the version is in the split {wanted}.",
            hint=f"there is: {', '.join(splits)}",
        )
    return found


def _records(folder: Path, paths: list[str]) -> Iterator[Record]:
    """Yield the records of some files of a version, one file after the other."""
    import json

    from adaptery.formats.columnar import parquet_rows
    from adaptery.records import Record

    for path in paths:
        for row in parquet_rows(folder / path, ["record"]):
            yield Record.from_dict(json.loads(str(row["record"])))


def _tell(report: WriteReport) -> None:
    for what, count in sorted(report.dropped.items()):
        say(f"not in this format: {what}, in {count:,} records")
    if report.escaped_cells:
        say(f"cells with an apostrophe, so that no spreadsheet runs them: {report.escaped_cells:,}")
    for problem in report.refused:
        say(f"left out: {problem.where}: {problem.reason}")
    if report.refused_count > len(report.refused):
        say(f"... and {report.refused_count - len(report.refused):,} more")

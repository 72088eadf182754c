"""`adaptery data list`: the datasets that one may see, or the versions of one of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.terminal import say, say_json
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.client import Dataset, Hub, Version
    from adaptery.commands import Subparsers

__all__ = ["add"]

_DATASETS = ("DATASET", "SENSITIVITY", "YOUR RIGHT", "CHANGED", "RECORDS IN THE DRAFT")
_VERSIONS = ("VERSION", "STATE", "PUBLISHED", "CONTENT DIGEST", "RECORDS")


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    parser = add_action(actions, "list", "list datasets, or the versions of one", _list)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a dataset: list its versions, oldest first"
    )
    parser.add_argument("--search", help="only datasets whose full name holds this")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _list(hub: Hub, arguments: argparse.Namespace) -> None:
    if arguments.name is None:
        datasets = hub.datasets.list(arguments.search)
        rows, titles = list(map(_dataset, datasets)), _DATASETS
        infos = [dataset.info.model_dump(mode="json") for dataset in datasets]
    else:
        versions = hub.datasets.get(arguments.name).versions()
        rows, titles = list(map(_version, versions)), _VERSIONS
        infos = [version.info.model_dump(mode="json") for version in versions]
    if arguments.json:
        say_json(infos)
    elif rows:
        _table([titles, *rows])
    else:
        say("No versions yet." if arguments.name else "No datasets.")


def _table(rows: Sequence[Sequence[object]]) -> None:
    for line in aligned(rows, numbers=1):
        say(line)


def _dataset(dataset: Dataset) -> Sequence[object]:
    info = dataset.info
    changed = f"{info.updated_at:%Y-%m-%d}"
    return (info.full_name, info.sensitivity, info.right, changed, f"{info.records:,}")


def _version(version: Version) -> Sequence[object]:
    info = version.info
    published = f"{info.created_at:%Y-%m-%d}"
    return (info.name, info.state, published, info.content_digest, f"{info.records:,}")

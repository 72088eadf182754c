"""Reads datasets as a user of ClearML does, with the real SDK; tells on stdout what it found.

Run as: `resolve.py <project> <tag>...`, with CLEARML_CONFIG_FILE.
"""

import json
import os
import sys
from pathlib import Path

from clearml import Dataset


def main() -> None:
    """Look each tag up, resolve its links and fetch what they name."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    project, *tags = sys.argv[1:]
    listed = Dataset.list_datasets(dataset_project=project, only_completed=False)
    found = {tag: _describe(listed, tag) for tag in tags}
    said.write(json.dumps(found) + "\n")
    said.flush()
    os._exit(0)


def _describe(listed: list[dict], tag: str) -> list[dict]:
    return [_resolve(one) for one in listed if tag in one["tags"]]


def _resolve(one: dict) -> dict:
    dataset = Dataset.get(dataset_id=one["id"])
    folder = Path(dataset.get_local_copy())
    return {
        "id": one["id"],
        "name": one["name"],
        "version": one["version"],
        "status": str(getattr(one["status"], "value", one["status"])),
        "tags": sorted(one["tags"]),
        "files": sorted(dataset.list_files()),
        "links": {path: entry.link for path, entry in dataset.link_entries_dict.items()},
        "parents": dataset.get_dependency_graph()[one["id"]],
        "sizes": {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file()
        },
    }


main()

"""Which files an agent may fetch within a session, and where they lie in the store.

An attempt may read the files of its inputs, of the checkpoint it resumes from, and of the adapters
that its job goes on from or is judged by; the session of an adapter, or of a checkpoint that is
served as one, the files of that. Nothing else has a name there.

All methods block on the store: call them in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.engine import Connection, RowMapping

from adaptery.adapter_folders import CONFIG_NAME, WEIGHTS_NAME
from adaptery.digests import sha256_bytes
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.ids import is_id
from adaptery.manifests import MANIFEST_NAME, is_shard
from adaptery_hub.database.prepared import Row
from adaptery_hub.database.statements import adapters, checkpoints, job_inputs, jobs
from adaptery_hub.objects import ObjectStore
from adaptery_hub.publishing import PublishedVersions, prefix_of

CARD_NAME = "card.json"
#: What of a checkpoint is an adapter.
WEIGHT_FILES = (CONFIG_NAME, WEIGHTS_NAME)
READ_LIMIT_BYTES = 512 * 1024  # of one answer; the broker carries 1 MiB


@dataclass(frozen=True)
class OfferedFile:
    """One file as the agent sees it (`path`), and how it is read."""

    path: str
    bytes: int
    digest: str
    open: Callable[[], BinaryIO]

    def to_dict(self) -> dict[str, object]:
        """Returns what the agent is told."""
        return {"path": self.path, "bytes": self.bytes, "digest": self.digest}


@dataclass(frozen=True)
class OfferedFolder:
    """A stored folder that is offered under a name: its files are listed, or its manifest says."""

    name: str
    prefix: str
    files: Sequence[Mapping[str, object]] | None  # None: a dataset version with a manifest
    #: Files that lie in no store: they are made of what is in the tables.
    made: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


def checkpoint_prefix(job_id: str, attempt_id: str, step: int) -> str:
    """Returns where a checkpoint lies."""
    return f"checkpoints/{job_id}/{attempt_id}/{step}"


def prefix_of_checkpoint(row: Row) -> str:
    """Returns where the files of a checkpoint's row lie."""
    whole = checkpoint_prefix(row["job_id"], row["attempt_id"], row["step"])
    return f"{whole}-light" if row["light"] else whole


def adapter_prefix(adapter_id: str) -> str:
    """Returns where an adapter lies."""
    return f"adapters/{adapter_id}"


def folders_of_attempt(
    connection: Connection, job: RowMapping, attempt_id: str
) -> list[OfferedFolder]:
    """Returns the folders that an attempt may read: its inputs, and the checkpoint before it."""
    folders = [
        OfferedFolder(
            f"inputs/{row['position']}",
            prefix_of(row),
            None,
        )
        for row in jobs.inputs_of(connection, [job["id"]])
    ]
    earlier = [
        row
        for row in checkpoints.of_job(connection, job["id"])
        if row["attempt_id"] != attempt_id and not row["light"]
    ]
    if earlier:
        last = earlier[-1]
        folders.append(OfferedFolder("checkpoint", prefix_of_checkpoint(last), last["files"]))
    for taken in job_inputs.adapters_of(connection, [job["id"]]):
        weights = job_inputs.weights_of(connection, taken)
        if weights is None:
            raise NotFoundError(f"{taken['name']} is not there any more.")
        folders.append(folder_of_weights(connection, taken["role"], weights))
    return folders


def folder_of_adapter(connection: Connection, weights_id: str) -> OfferedFolder:
    """Returns the folder of an adapter, or of a checkpoint as an adapter, by its id.

    Raises:
        NotFoundError: There is no such adapter any more.
    """
    found = checkpoints.get if is_id(weights_id, "ck") else adapters.get
    row = found(connection, weights_id)
    if row is None:
        raise NotFoundError("There is no such adapter any more.")
    return folder_of_weights(connection, "adapter", row)


def folder_of_weights(connection: Connection, name: str, row: Row) -> OfferedFolder:
    """Returns the folder of a row of `adapters`, or of `checkpoints`, under a name."""
    if is_id(row["id"], "ad"):
        return OfferedFolder(name, adapter_prefix(row["id"]), row["files"])
    job = jobs.get(connection, row["job_id"])
    assert job is not None
    files = [file for file in row["files"] if file["path"] in WEIGHT_FILES]
    return OfferedFolder(
        name, prefix_of_checkpoint(row), files, {CARD_NAME: checkpoint_card(job, row)}
    )


def checkpoint_card(job: RowMapping, row: Row) -> bytes:
    """Returns what `card.json` says of a checkpoint, for engines and for whoever downloads it."""
    spec = {name: value for name, value in job["spec"].items() if name != "limits"}
    card = {
        "card_version": 1,
        "job": job["id"],
        "stage": spec["stage"],
        "base_model": {"name": job["base_model"], "weight_digest": job["weight_digest"]},
        "datasets": spec["inputs"],
        "adapter": {"weight_digest": row["weight_digest"]},
        "checkpoint": {"step": row["step"], "digest": row["digest"]},
        "spec": spec,
    }
    return json.dumps(card, indent=2, sort_keys=True).encode()


class FileOffers:
    """Lists and reads the files of offered folders."""

    def __init__(self, objects: ObjectStore, published: PublishedVersions) -> None:
        self._objects = objects
        self._published = published

    def list(self, folders: Sequence[OfferedFolder]) -> list[OfferedFile]:
        """Returns every file of the folders."""
        return [file for folder in folders for file in self._files(folder)]

    def read(self, files: Sequence[OfferedFile], path: str, offset: int, length: int) -> bytes:
        """Returns a piece of one file; shorter at its end.

        Raises:
            InvalidInputError: The piece is not one that may be asked for.
            NotFoundError: The session offers no such file.
        """
        if offset < 0 or not 0 <= length <= READ_LIMIT_BYTES:
            raise InvalidInputError(f"A piece has at most {READ_LIMIT_BYTES} bytes.")
        file = next((file for file in files if file.path == path), None)
        if file is None:
            raise NotFoundError("The session offers no such file.")
        with file.open() as stream:
            stream.seek(offset)
            return stream.read(length)

    def _files(self, folder: OfferedFolder) -> list[OfferedFile]:
        if folder.files is None:
            return self._files_of_version(folder)
        stored = [
            OfferedFile(
                f"{folder.name}/{entry['path']}",
                int(str(entry["bytes"])),
                str(entry["digest"]),
                partial(self._objects.open, f"{folder.prefix}/{entry['path']}"),
            )
            for entry in folder.files
        ]
        made = [_in_memory(f"{folder.name}/{path}", raw) for path, raw in folder.made.items()]
        return [*stored, *made]

    def _files_of_version(self, folder: OfferedFolder) -> list[OfferedFile]:
        """Return the manifest and the files of records: a worker needs nothing else."""
        content = self._published.content(folder.prefix)
        return [
            _in_memory(f"{folder.name}/{MANIFEST_NAME}", content.manifest_bytes),
            *(
                OfferedFile(
                    f"{folder.name}/{entry.path}",
                    entry.content.bytes,
                    entry.content.digest,
                    partial(self._published.open_shard, folder.prefix, entry.path),
                )
                for entry in content.manifest.files
                if is_shard(entry.path)
            ),
        ]


def _in_memory(path: str, raw: bytes) -> OfferedFile:
    return OfferedFile(path, len(raw), sha256_bytes(raw), partial(BytesIO, raw))


def read_card(path: Path) -> Mapping[str, object]:
    """Returns the card of an adapter folder that was inspected.

    Raises:
        InvalidInputError: It is missing, or not a JSON object.
    """
    try:
        card = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError):
        card = None
    if not isinstance(card, dict):
        raise InvalidInputError("The adapter's card.json is not a JSON object.")
    return card


def _refuse_constant(name: str) -> float:
    raise ValueError(name)  # NaN and infinities: no database would take them back as JSON

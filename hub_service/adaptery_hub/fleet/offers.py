"""Which files an agent may fetch within a session, and where they lie in the store.

An attempt may read the files of its inputs and of the checkpoint it resumes from; an adapter
session the files of that adapter. Nothing else has a name there.

All methods block on the store: call them in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.engine import Connection, RowMapping

from adaptery.digests import sha256_bytes
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.manifests import MANIFEST_NAME, is_shard
from adaptery_hub.database.statements import adapters, checkpoints, jobs
from adaptery_hub.objects import ObjectStore
from adaptery_hub.publishing import PublishedVersions, prefix_of

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


def checkpoint_prefix(job_id: str, attempt_id: str, step: int) -> str:
    """Returns where a checkpoint lies."""
    return f"checkpoints/{job_id}/{attempt_id}/{step}"


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
        row for row in checkpoints.of_job(connection, job["id"]) if row["attempt_id"] != attempt_id
    ]
    if earlier:
        last = earlier[-1]
        prefix = checkpoint_prefix(job["id"], last["attempt_id"], last["step"])
        folders.append(OfferedFolder("checkpoint", prefix, last["files"]))
    return folders


def folders_of_adapter(connection: Connection, adapter_id: str) -> list[OfferedFolder]:
    """Returns the folder of an adapter.

    Raises:
        NotFoundError: There is no such adapter any more.
    """
    row = adapters.get(connection, adapter_id)
    if row is None:
        raise NotFoundError("There is no such adapter any more.")
    return [OfferedFolder("adapter", adapter_prefix(adapter_id), row["files"])]


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
        return [
            OfferedFile(
                f"{folder.name}/{entry['path']}",
                int(str(entry["bytes"])),
                str(entry["digest"]),
                partial(self._objects.open, f"{folder.prefix}/{entry['path']}"),
            )
            for entry in folder.files
        ]

    def _files_of_version(self, folder: OfferedFolder) -> list[OfferedFile]:
        """Return the manifest and the files of records: a worker needs nothing else."""
        content = self._published.content(folder.prefix)
        raw = content.manifest_bytes
        name = f"{folder.name}/{MANIFEST_NAME}"
        return [
            OfferedFile(name, len(raw), sha256_bytes(raw), partial(BytesIO, raw)),
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

"""Reads the dataset versions of an attempt, and believes nothing about them.

Each lies in `inputs/<position>/`: `manifest.json` and those Parquet files that it lists as files of
records, with the columns `record_id`, `kind` and `record` (JSON), and `position` in versions that
may have splits. The job spec names the content digest and, if there are splits, the split digest.

Invariants:

1. Not one record leaves here before the files match the manifest, every record id was computed
   again from its record, and the tree over all ids is the content digest that the spec names.
   So whoever sits between store and worker can change nothing, whatever manifest it sends.
2. The same holds for the split of each record, by the split digest.
3. No path in a manifest leads out of its folder.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.digests import content_digest, split_digest
from adaptery.errors import AdapteryError
from adaptery.examples import held_out_inputs
from adaptery.files import safe_join
from adaptery.manifests import (
    MANIFEST_NAME,
    WHOLE,
    Manifest,
    is_shard,
    split_of,
    verify_some_files,
)
from adaptery.records import Record
from adaptery.schemas.spec import InputSpec
from adaptery_training.failures import DataIntegrityError, SpecRefusedError

if TYPE_CHECKING:
    import pyarrow

_COLUMNS = ("record_id", "record")
_POSITION = "position"
#: Records decoded at a time, so that the text of a large version is never in memory twice.
_BATCH_RECORDS = 1_000


@dataclass(frozen=True)
class _Row:
    position: int
    record_id: str
    record: Record
    split: str | None


@dataclass(frozen=True)
class InputRecords:
    """The records of a job's inputs, in order."""

    learnt: list[Record]
    held_out: list[Record]  # of inputs that are validation splits, unless all are


def read_inputs(work_folder: Path, inputs: Sequence[InputSpec]) -> InputRecords:
    """Return the records that the inputs name.

    Raises:
        DataIntegrityError: an input is not the version that the spec names.
        SpecRefusedError: the spec asks for a split that the version does not have.
    """
    learnt: list[Record] = []
    held_out: list[Record] = []
    kept = held_out_inputs(inputs)
    for position, wanted in enumerate(inputs):
        folder = safe_join(work_folder, f"inputs/{position}")
        rows = _read_version(folder, wanted)
        if wanted.split != WHOLE:
            rows = [row for row in rows if row.split == wanted.split]
        if not rows:
            raise SpecRefusedError(
                f"inputs.{position}.split: the version has no {wanted.split} records."
            )
        (held_out if position in kept else learnt).extend(row.record for row in rows)
    return InputRecords(learnt, held_out)


def _read_version(folder: Path, wanted: InputSpec) -> list[_Row]:
    manifest = _verified_manifest(folder, wanted)
    rows = list(_read_rows(folder, manifest, wanted))
    if content_digest((row.record_id for row in rows), manifest.recipe) != wanted.content_digest:
        raise DataIntegrityError(
            f"The records of {wanted.version} do not have the content digest that the job names."
        )
    if split_digest(row.split for row in rows) != wanted.split_digest:
        raise DataIntegrityError(
            f"The records of {wanted.version} are not in the splits that the job names."
        )
    return rows


def _verified_manifest(folder: Path, wanted: InputSpec) -> Manifest:
    """Check the files of records against the manifest of a version and return it."""
    try:
        manifest = Manifest.from_bytes((folder / MANIFEST_NAME).read_bytes())
        shards = [entry for entry in manifest.files if is_shard(entry.path)]
        verify_some_files(folder, manifest, shards)
    except (AdapteryError, OSError) as error:
        raise DataIntegrityError(
            f"The files of {wanted.version} do not match their manifest ({type(error).__name__})."
        ) from None
    return manifest


def _read_rows(folder: Path, manifest: Manifest, wanted: InputSpec) -> Iterator[_Row]:
    """Yield the records of all splits in the order of the version."""
    splits: dict[str, list[Path]] = {}
    for entry in manifest.files:
        if is_shard(entry.path):
            splits.setdefault(split_of(entry.path), []).append(folder / entry.path)
    streams = [
        _read_split(paths, None if split == WHOLE else split, wanted)
        for split, paths in splits.items()
    ]
    return heapq.merge(*streams, key=lambda row: row.position)


def _read_split(paths: Sequence[Path], split: str | None, wanted: InputSpec) -> Iterator[_Row]:
    passed = 0
    for path in paths:
        for position, record_id, record in _read_parquet(path, wanted):
            passed += 1
            yield _Row(position or passed, record_id, record, split)


def _read_parquet(path: Path, wanted: InputSpec) -> Iterator[tuple[int | None, str, Record]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            columns = [*_COLUMNS]
            if _POSITION in file.schema_arrow.names:
                columns.append(_POSITION)
            for batch in file.iter_batches(_BATCH_RECORDS, columns=columns):
                yield from _read_batch(batch)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, AdapteryError) as error:
        raise DataIntegrityError(
            f"A file of {wanted.version} does not hold records ({type(error).__name__})."
        ) from None


def _read_batch(batch: pyarrow.RecordBatch) -> Iterator[tuple[int | None, str, Record]]:
    ids, texts = (batch.column(name).to_pylist() for name in _COLUMNS)
    has_positions = _POSITION in batch.schema.names
    positions = batch.column(_POSITION).to_pylist() if has_positions else [None] * len(ids)
    for position, record_id, text in zip(positions, ids, texts, strict=True):
        record = Record.from_dict(json.loads(text))
        if record.record_id() != record_id:
            raise DataIntegrityError("A record does not have the id that stands beside it.")
        if has_positions and not isinstance(position, int):
            raise DataIntegrityError("A record has no position.")
        yield position, record_id, record

"""Reads the dataset versions of an attempt, and believes nothing about them.

Each lies in `inputs/<position>/`: `manifest.json` and the Parquet files that it lists, with the
columns `record_id`, `kind` and `record` (canonical JSON). The job spec names the content digest.

Invariants:

1. Not one record leaves here before the files match the manifest, every record id was computed
   again from its record, and the tree over all ids is the content digest that the spec names.
   So whoever sits between store and worker can change nothing, whatever manifest it sends.
2. No path in a manifest leads out of its folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.digests import content_digest
from adaptery.errors import AdapteryError
from adaptery.files import safe_join
from adaptery.manifests import MANIFEST_NAME, read_manifest, verify_files
from adaptery.records import Record
from adaptery.schemas.spec import InputSpec
from adaptery_training.failures import DataIntegrityError, SpecRefusedError

if TYPE_CHECKING:
    import pyarrow

_COLUMNS = ("record_id", "record")
#: Records decoded at a time, so that the text of a large version is never in memory twice.
_BATCH_RECORDS = 1_000


def read_inputs(work_folder: Path, inputs: Sequence[InputSpec]) -> list[Record]:
    """Return all records of all inputs, in order.

    Raises:
        DataIntegrityError: an input is not the version that the spec names.
        SpecRefusedError: the spec asks for a split, which versions do not have yet.
    """
    records: list[Record] = []
    for position, wanted in enumerate(inputs):
        if wanted.split != "all":
            raise SpecRefusedError(f"inputs.{position}.split: only the whole version is offered.")
        records += _read_version(safe_join(work_folder, f"inputs/{position}"), wanted)
    return records


def _read_version(folder: Path, wanted: InputSpec) -> list[Record]:
    paths = _verified_paths(folder, wanted)
    records: list[Record] = []
    ids: list[str] = []
    for path in paths:
        for record_id, record in _read_parquet(path, wanted):
            ids.append(record_id)
            records.append(record)
    if content_digest(ids) != wanted.content_digest:
        raise DataIntegrityError(
            f"The records of {wanted.version} do not have the content digest that the job names."
        )
    return records


def _verified_paths(folder: Path, wanted: InputSpec) -> list[Path]:
    """Check the files of a version against its manifest and return those with records, in order."""
    try:
        manifest = read_manifest((folder / MANIFEST_NAME).read_bytes())
        verify_files(folder, manifest)
    except (AdapteryError, OSError) as error:
        raise DataIntegrityError(
            f"The files of {wanted.version} do not match their manifest ({type(error).__name__})."
        ) from None
    return [folder / entry.path for entry in manifest.files if entry.path.endswith(".parquet")]


def _read_parquet(path: Path, wanted: InputSpec) -> Iterator[tuple[str, Record]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_RECORDS, columns=list(_COLUMNS)):
                yield from _read_batch(batch)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, AdapteryError) as error:
        raise DataIntegrityError(
            f"A file of {wanted.version} does not hold records ({type(error).__name__})."
        ) from None


def _read_batch(batch: pyarrow.RecordBatch) -> Iterator[tuple[str, Record]]:
    ids, texts = (batch.column(name).to_pylist() for name in _COLUMNS)
    for record_id, text in zip(ids, texts, strict=True):
        record = Record.from_dict(json.loads(text))
        if record.record_id() != record_id:
            raise DataIntegrityError("A record does not have the id that stands beside it.")
        yield record_id, record

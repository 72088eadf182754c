"""A version as a file of another format, made for one answer and gone after it.

Invariants:

- It is written in a process of its own, from files that were checked against the signed manifest.
- No export has a name once it is open: whatever ends the answer, its bytes are gone. Those of a
  service that was killed are removed at the next start.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.formats import Container, Format, WriteReport, write_folder, write_records
from adaptery.manifests import UNSPLIT, WHOLE, split_of, splits_of
from adaptery.records import Record
from adaptery.schemas.exports import ExportProblem, ExportReport, ExportSplit
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes, Report
from adaptery_hub.publishing import shards
from adaptery_hub.publishing.published import PublishedVersions

#: Exports that are made at once.
EXPORT_THREADS = 4
#: Records between two reports of how far it is.
REPORT_EVERY = 1_000
#: What a folder holds beside its data, about what it lacks.
REPORT_NAME = "export-report.json"


@dataclass(frozen=True)
class ExportForm:
    """What an export is to be."""

    name: str  # of the folder in an archive
    format: Format
    container: Container
    split: ExportSplit | None = None  # absent: all of them


@dataclass(frozen=True)
class ExportOrder:
    """One export."""

    shards: Mapping[str, Readable]
    target: Path
    form: ExportForm


class Exports:
    """Makes exports, in threads of its own."""

    def __init__(self, folder: Path, published: PublishedVersions, processes: Processes) -> None:
        self._folder = folder
        self._published = published
        self._processes = processes
        self._threads = ThreadPoolExecutor(EXPORT_THREADS, thread_name_prefix="export")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)

    def start(
        self, prefix: str, form: ExportForm, progress: Progress
    ) -> asyncio.Future[tuple[BinaryIO, ExportReport]]:
        """Have `make` called in a thread that is there for that: it takes minutes."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, self.make, prefix, form, progress)

    def close(self) -> None:
        """Wait for what is being made."""
        self._threads.shutdown(wait=True)

    def make(
        self, prefix: str, form: ExportForm, progress: Progress
    ) -> tuple[BinaryIO, ExportReport]:
        """Return a version as an open file, and what that lacks. Blocking.

        Raises:
            InvalidInputError: no record of the version can be written so, or none is in the split.
            IntegrityError: a file of it is not what was signed.
            Cancelled: nobody wants it any more.
            OSError: it cannot be written.
        """
        progress.check()  # it may have waited for a thread
        local = dict(self._published.content(prefix).shards)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            order = ExportOrder(local, Path(folder) / "export", form)
            report = self._processes.run(export, progress, order)
            return order.target.open("rb"), report


def export(report: Report, order: ExportOrder) -> ExportReport:
    """Write an export; a folder as a zip archive of it, with a file for each split.

    Raises:
        InvalidInputError: no record can be written so, or none is in the split.
        OSError: it cannot be written.
    """
    wanted = _wanted(order)
    taken = Counter[str]()
    if order.form.container != "folder":
        records = _records(report, order.shards, wanted, taken)
        written = write_records(records, order.target, order.form.format, order.form.container)
        return _told(written, taken, together=len(splits_of(wanted)) > 1)
    folder = order.target.with_name(order.form.name)
    splits = {
        split: _records(report, order.shards, paths, taken)
        for split, paths in splits_of(order.shards).items()
        if paths[0] in wanted
    }
    told = _told(write_folder(splits, folder, order.form.format), taken, together=False)
    (folder / REPORT_NAME).write_text(told.model_dump_json(indent=2) + "\n")
    with zipfile.ZipFile(order.target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder.parent).as_posix())
    return told


def _wanted(order: ExportOrder) -> list[str]:
    """Return the files of the records that are wanted."""
    if order.form.split is None:
        return list(order.shards)
    name = WHOLE if order.form.split == "none" else order.form.split
    found = [path for path in order.shards if split_of(path) == name]
    if not found:
        problem = FieldProblem("split", "has no records in this version.", "Choose another.")
        raise InvalidInputError(errors=[problem])
    return found


def _records(
    report: Report, local: Mapping[str, Readable], paths: Sequence[str], taken: Counter[str]
) -> Iterator[Record]:
    rows = shards.read_rows(paths, local.__getitem__, 0)
    for row in rows:
        taken[row.split or UNSPLIT] += 1
        if taken.total() % REPORT_EVERY == 0:
            report(taken.total(), 0)
        yield Record.from_dict(json.loads(row.text))


def _told(written: WriteReport, taken: Mapping[str, int], *, together: bool) -> ExportReport:
    return ExportReport(
        records=written.records,
        dropped=written.dropped,
        escaped_cells=written.escaped_cells,
        refused=written.refused_count,
        splits={} if taken.keys() == {UNSPLIT} else dict(taken),
        together=together,
        problems=tuple(ExportProblem(**problem.to_dict()) for problem in written.refused),
    )

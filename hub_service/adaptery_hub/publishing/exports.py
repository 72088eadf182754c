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
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adaptery.formats import Container, Format, WriteReport, write_records
from adaptery.records import Record
from adaptery.schemas.exports import ExportProblem, ExportReport
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
class ExportOrder:
    """One export."""

    shards: Mapping[str, Readable]
    target: Path
    name: str  # of the folder in an archive
    format: Format
    container: Container


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
        self, prefix: str, name: str, format: Format, container: Container, progress: Progress
    ) -> asyncio.Future[tuple[BinaryIO, ExportReport]]:
        """Have `make` called in a thread that is there for that: it takes minutes."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(
            self._threads, self.make, prefix, name, format, container, progress
        )

    def close(self) -> None:
        """Wait for what is being made."""
        self._threads.shutdown(wait=True)

    def make(
        self, prefix: str, name: str, format: Format, container: Container, progress: Progress
    ) -> tuple[BinaryIO, ExportReport]:
        """Return a version as an open file, and what that lacks. Blocking.

        Raises:
            InvalidInputError: no record of the version can be written so.
            IntegrityError: a file of it is not what was signed.
            Cancelled: nobody wants it any more.
            OSError: it cannot be written.
        """
        progress.check()  # it may have waited for a thread
        local = dict(self._published.content(prefix).shards)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            order = ExportOrder(local, Path(folder) / "export", name, format, container)
            report = self._processes.run(export, progress, order)
            return order.target.open("rb"), report


def export(report: Report, order: ExportOrder) -> ExportReport:
    """Write an export; a folder as a zip archive of it.

    Raises:
        InvalidInputError: no record can be written so.
        OSError: it cannot be written.
    """
    records = _records(report, order.shards)
    if order.container != "folder":
        return _told(write_records(records, order.target, order.format, order.container))
    folder = order.target.with_name(order.name)
    told = _told(write_records(records, folder, order.format, "folder"))
    (folder / REPORT_NAME).write_text(told.model_dump_json(indent=2) + "\n")
    with zipfile.ZipFile(order.target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder.parent).as_posix())
    return told


def _records(report: Report, local: Mapping[str, Readable]) -> Iterator[Record]:
    rows = shards.read_rows(list(local), local.__getitem__, 0)
    for number, row in enumerate(rows, start=1):
        if number % REPORT_EVERY == 0:
            report(number, 0)
        yield Record.from_dict(json.loads(row.text))


def _told(written: WriteReport) -> ExportReport:
    return ExportReport(
        records=written.records,
        dropped=written.dropped,
        escaped_cells=written.escaped_cells,
        refused=written.refused_count,
        problems=tuple(ExportProblem(**problem.to_dict()) for problem in written.refused),
    )

"""`api/versions/{version}/export`: a version as a file of another format."""

from __future__ import annotations

import asyncio
from typing import BinaryIO, TypeVar, get_args

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.formats.writing import MEDIA_TYPES, SUFFIXES
from adaptery.schemas.exports import EXPORT_REPORT_HEADER, ExportReport, ExportSplit
from adaptery.schemas.lineage import Split
from adaptery.schemas.mappings import CONTAINERS, FORMATS
from adaptery_hub.database import tables
from adaptery_hub.database.statements import versions as statements
from adaptery_hub.handlers.admission import while_admitted
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.downloads import read_chunk
from adaptery_hub.operations import Progress
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.publishing import describe_version, prefix_of
from adaptery_hub.publishing.exports import ExportForm
from adaptery_hub.routes import Operation, Route

W = TypeVar("W")

SPLITS: tuple[ExportSplit, ...] = (*get_args(Split), "none")


class ExportHandler(Handler):
    """A version in another format."""

    async def get(self, version: str) -> None:
        """Make the file and send it; or, with `report`, say what it would lack."""
        self.check_query()
        row = await self.services.db.read(
            lambda c: statements.get(c, self.identity, version, Right.VIEW)
        )
        statements.check_readable(row)
        form = ExportForm(
            f"{row['dataset_name']}-{row['number']}",  # of [a-z0-9._-] only
            _given("format", self.one_of("format", FORMATS)),
            _given("container", self.one_of("container", CONTAINERS)),
            self.one_of("split", SPLITS),
        )
        only_report = self.one_of("report", ("true", "false")) == "true"
        self.hold(self.services.exports_open)
        await while_admitted(
            self,
            self._send(row, form, only_report=only_report),
            row["dataset_id"],
            lambda c, identity: fetch(c, tables.versions, identity, version, Right.VIEW),
        )

    async def _send(self, row: RowMapping, form: ExportForm, *, only_report: bool) -> None:
        await self.services.db.write(lambda c: self._note(c, row, form))
        stream, report = await self._made(row, form)
        with stream:
            if only_report:
                self.answer(report)
                return
            self._head(form, report)
            while chunk := await asyncio.to_thread(read_chunk, stream):
                self.write(chunk)
                await self.flush()

    async def _made(self, row: RowMapping, form: ExportForm) -> tuple[BinaryIO, ExportReport]:
        """Have the file made; whoever leaves ends that."""
        progress = Progress(asyncio.get_running_loop())
        making = self.services.exports.start(prefix_of(row), form, progress)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            progress.cancel()
            making.add_done_callback(_close)
            raise

    def _head(self, form: ExportForm, report: ExportReport) -> None:
        suffix = ".zip" if form.container == "folder" else SUFFIXES[form.container]
        part = f".{'unsplit' if form.split == 'none' else form.split}" if form.split else ""
        name = f"{form.name}{part}.{form.format}{suffix}"
        self.set_header("Content-Type", MEDIA_TYPES[form.container])
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        told = report.model_dump_json(exclude={"problems"})
        self.set_header(EXPORT_REPORT_HEADER, told)

    def _note(self, connection: Connection, row: RowMapping, form: ExportForm) -> None:
        version = describe_version(row)
        details = {"name": version.name, "format": form.format, "container": form.container}
        digest = version.content_digest or ""
        self.audit(connection, "version.export", version.id, content_digest=digest, **details)


def _given(name: str, value: W | None) -> W:
    if value is None:
        raise InvalidInputError(errors=[FieldProblem(name, "is required.", "Add it.")])
    return value


def _close(making: asyncio.Future[tuple[BinaryIO, ExportReport]]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result()[0].close()


ROUTES = [
    Route(
        "api/versions/{version}/export",
        ExportHandler,
        {
            "GET": Operation(
                "read",
                "A version as a file of another format. The header X-Export-Report says what the "
                "format has no place for.",
                media="application/octet-stream",
                or_media=tuple(sorted({*MEDIA_TYPES.values()})),
                query={
                    "format": f"One of {', '.join(FORMATS)}.",
                    "container": f"One of {', '.join(CONTAINERS)}; a folder comes as a zip "
                    "archive, with its report in it.",
                    "split": f"Only this split: {', '.join(SPLITS)}. Absent: all; a folder has a "
                    "file of each, any other container has them together.",
                    "report": "`true`: no file, but what it would lack, record by record.",
                },
            )
        },
    ),
]

"""`api/datasets/{dataset}/files/{file}/...`: how a file is read, its records, what is wrong in it.

What a file holds is for who may edit the draft: others have changed or removed records of it for a
reason, and the file still has them. What is wrong in it, which holds no content, is for who may
view it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal, get_args
from urllib.parse import quote

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import NotFoundError
from adaptery.schemas.common import Page
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.schemas.imports import (
    FilePreview,
    FileProblem,
    FileSuggestion,
    ImportRequest,
    PreviewRequest,
)
from adaptery_hub.database import tables
from adaptery_hub.database.statements import files as statements
from adaptery_hub.handlers.admission import while_admitted
from adaptery_hub.handlers.downloads import DOWNLOAD_CHUNK_BYTES, read_chunk
from adaptery_hub.handlers.files import FileOfDraftHandler
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import parse_position
from adaptery_hub.identity import Identity
from adaptery_hub.imports import ImportPlan, csv_lines, read_problems
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

#: How a list of problems can be had as a file.
Download = Literal["csv", "jsonl"]
JSON_LINES = "application/x-ndjson"

_FILE = "api/datasets/{dataset}/files/{file}"


class SuggestionHandler(FileOfDraftHandler):
    """How a file would be read."""

    async def get(self, dataset: str, file: str) -> None:
        """Look into the file and answer what was found."""
        self.check_query()
        row = await self.find_file(dataset, file, Right.EDIT)
        with self.holding(self.services.looks):
            found = await self.services.imports.suggest(row)
        self.answer(found)


class PreviewHandler(FileOfDraftHandler):
    """What a file would become."""

    async def post(self, dataset: str, file: str) -> None:
        """Answer the first records as a mapping has them."""
        self.check_query()
        mapping = self.body(PreviewRequest).mapping
        row = await self.find_file(dataset, file, Right.EDIT)
        with self.holding(self.services.looks):
            found = await self.services.imports.preview(row, mapping)
        self.answer(found)


class ImportHandler(FileOfDraftHandler):
    """The import of a file that was received."""

    async def post(self, dataset: str, file: str) -> None:
        """Begin to import the file."""
        self.check_query()
        asked = self.body(ImportRequest)
        owner = await self.find_dataset(dataset, Right.EDIT)
        row = await self.find_file(dataset, file, Right.EDIT)
        services = self.services
        await services.storage.check(owner["tenant_id"])
        plan = ImportPlan(asked.mapping, asked.format, asked.bad_records == "skip")
        operation = await services.imports.start(
            self.identity, owner["tenant_id"], row, plan, self.note_import
        )
        self.answer(describe_operation(operation, services.operations))


class ProblemsHandler(FileOfDraftHandler):
    """What is wrong in a file."""

    async def get(self, dataset: str, file: str) -> None:
        """Page through the problems, or send all of them as a file."""
        after, limit = self.page()
        download: Download | None = self.one_of("download", get_args(Download))
        row = await self.find_file(dataset, file, Right.VIEW)
        if download is not None:
            await self._send(row, download)
            return
        position = parse_position(after, "after") or 0
        items = await self.services.imports.problem_page(row, position, limit + 1)
        self.answer_page(items, limit)

    async def _send(self, row: RowMapping, download: Download) -> None:
        problems = read_problems(self.services.imports.problems(row))
        lines = csv_lines(problems) if download == "csv" else _json_lines(problems)
        self.set_header(
            "Content-Type", "text/csv; charset=utf-8" if download == "csv" else JSON_LINES
        )
        name_attachment(self, f"{row['name']}.problems.{download}")
        await send_while(Right.VIEW, self, row["dataset_id"], lambda: _joined(lines))


class ContentHandler(FileOfDraftHandler):
    """The bytes of a file."""

    async def get(self, dataset: str, file: str) -> None:
        """Send the file as it came."""
        self.check_query()
        row = await self.find_file(dataset, file, Right.EDIT)
        stream = await asyncio.to_thread(self._open, row)
        with stream:
            await self.services.db.write(lambda c: self._note(c, row))
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Length", str(row["bytes"]))
            name_attachment(self, row["name"])
            await send_while(Right.EDIT, self, row["dataset_id"], lambda: read_chunk(stream))

    async def delete(self, dataset: str, file: str) -> None:
        """Forget the bytes; the records stay."""
        self.check_query()
        row = await self.find_file(dataset, file, Right.EDIT)

        def forget(connection: Connection) -> None:
            statements.forget_original(connection, row["id"])
            details = {"name": row["name"], "bytes": row["bytes"]}
            self.audit(connection, "file.forget", dataset, **details)

        await self.services.db.write(forget)
        await self.services.uploads.drop_original(row)
        self.answer_nothing()

    def _open(self, row: RowMapping) -> BinaryIO:
        path = self.services.uploads.original(row["dataset_id"], row["id"])
        try:
            return path.open("rb")
        except FileNotFoundError:
            raise NotFoundError("The file was removed meanwhile.") from None

    def _note(self, connection: Connection, row: RowMapping) -> None:
        details = {"name": row["name"], "bytes": row["bytes"], "digest": row["digest"]}
        self.audit(connection, "file.download", row["dataset_id"], **details)


async def send_while(
    right: Right, handler: FileOfDraftHandler, dataset: str, read: Callable[[], bytes]
) -> None:
    """Send what a blocking function gives, piece by piece, while the caller has a right."""

    async def send() -> None:
        while piece := await asyncio.to_thread(read):
            handler.write(piece)
            await handler.flush()

    def check(connection: Connection, identity: Identity) -> object:
        return fetch(connection, tables.datasets, identity, dataset, right)

    await while_admitted(handler, send(), dataset, check)


def name_attachment(handler: FileOfDraftHandler, name: str) -> None:
    """Have a browser save the answer under a name that a user gave."""
    # Source: RFC 6266, section 4.3; percent-encoded, it can end no header and no quotes.
    encoded = quote(name, safe="")
    handler.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{encoded}")


def _json_lines(problems: Iterator[FileProblem]) -> Iterator[str]:
    for problem in problems:
        yield problem.model_dump_json(exclude={"id"}) + "\n"


def _joined(lines: Iterator[str]) -> bytes:
    """Return the next lines; empty at the end."""
    piece = bytearray()
    for line in lines:
        piece += line.encode()
        if len(piece) >= DOWNLOAD_CHUNK_BYTES:
            break
    return bytes(piece)


ROUTES = [
    Route(
        f"{_FILE}/suggestion",
        SuggestionHandler,
        {
            "GET": Operation(
                "read",
                "How a file that was received would be read, and its first records.",
                response=FileSuggestion,
            )
        },
    ),
    Route(
        f"{_FILE}/preview",
        PreviewHandler,
        {
            "POST": Operation(
                "read",
                "The first records of a file as a mapping has them.",
                request=PreviewRequest,
                response=FilePreview,
            )
        },
    ),
    Route(
        f"{_FILE}/import",
        ImportHandler,
        {
            "POST": Operation(
                "write",
                "Import a file that was received; the operation's result holds the file. One that "
                "cannot be imported is kept as `refused`.",
                request=ImportRequest,
                response=OperationAnswer,
                status=202,
            )
        },
    ),
    Route(
        f"{_FILE}/problems",
        ProblemsHandler,
        {
            "GET": Operation(
                "read",
                "Bad records of a file: where and why, not what they hold.",
                response=Page[FileProblem],
                or_media=("text/csv", JSON_LINES),
                query={**PAGE_QUERY, "download": "`csv` or `jsonl`: all of them, as a file."},
            )
        },
    ),
    Route(
        f"{_FILE}/content",
        ContentHandler,
        {
            "GET": Operation(
                "read",
                "A file as it came, byte for byte.",
                media="application/octet-stream",
            ),
            "DELETE": Operation(
                "write",
                "Forget the bytes of a file that was imported; its records stay.",
                status=204,
                fresh_identity=True,
            ),
        },
    ),
]

"""`v1/files`: what OpenAI's fine-tuning learns from. A file is a dataset with one uploaded file.

An upload makes the dataset, imports the file and publishes it; the file is `processed` once there
is a version to learn from. One whose rows are bad stays, as `error`, and says what is wrong in it.
"""

from __future__ import annotations

import asyncio
from typing import get_args

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import (
    ConflictError,
    InternalError,
    InvalidInputError,
    TooLargeError,
    from_problem,
)
from adaptery.schemas.common import parse
from adaptery.schemas.datasets import DatasetCreate, PublishRequest
from adaptery_hub.database.statements import training_files as statements
from adaptery_hub.database.statements.training_files import FileOrder
from adaptery_hub.datasets import create_dataset
from adaptery_hub.fine_tuning import (
    PURPOSE,
    as_page,
    dataset_id_of,
    dataset_name,
    describe_file,
)
from adaptery_hub.handlers.base import OpenAIHandler
from adaptery_hub.handlers.datasets import delete_dataset
from adaptery_hub.handlers.files import FileOfDraftHandler, check_file_name
from adaptery_hub.handlers.imports import ContentHandler
from adaptery_hub.handlers.lineage import withdraw_version
from adaptery_hub.handlers.request_headers import content_length
from adaptery_hub.handlers.versions import start_publishing
from adaptery_hub.imports import ImportPlan
from adaptery_hub.permissions import Right
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.storage import Reservation
from adaptery_hub.upload_forms import UploadForm, parse_form

#: Bytes of an upload: it is in memory as a whole. Larger files come in parts at `api/datasets`.
UPLOAD_LIMIT_BYTES = 32 * 1024 * 1024
#: What OpenAI's clients ask for at most.
FILES_PAGE_LIMIT = 10_000
#: Bad rows that a file tells of.
PROBLEMS_SHOWN = 5


class _TrainingFileHandler(OpenAIHandler, FileOfDraftHandler):
    async def find(self, file: str, right: Right) -> RowMapping:
        """Return the row of a file, by OpenAI's id.

        Raises:
            NotFoundError: there is none, or the caller may not know it.
            NotAllowedError: the caller has a lesser right.
        """
        return await self.services.db.read(
            lambda c: statements.get(c, self.identity, dataset_id_of(file), right)
        )

    async def describe(self, row: RowMapping) -> dict[str, object]:
        """Return a file as OpenAI has it, with what is wrong in it."""
        problems = []
        if row["state"] == "refused":
            found = await self.services.imports.problem_page(row, 0, PROBLEMS_SHOWN)
            problems = [f"{each.where}: {each.reason}" for each in found]
        return describe_file(row, problems)


class TrainingFilesHandler(_TrainingFileHandler):
    """The files of the caller."""

    _room: Reservation | None = None

    def initialize(self, *args: object, **kwargs: object) -> None:
        """See `Handler.initialize`."""
        super().initialize(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        self._upload = bytearray()

    async def admit(self) -> None:
        """Make room for an upload before its first byte is kept."""
        await super().admit()
        if self.request.method != "POST":
            return
        self.check_query()
        length = content_length(self.request.headers.get("Content-Length"))
        if length > UPLOAD_LIMIT_BYTES:
            raise _too_large()
        self.hold(self.services.forms)
        reserved = length or UPLOAD_LIMIT_BYTES
        self._room = await self.services.storage.reserve(self.identity.tenant_id, reserved)

    async def data_received(self, chunk: bytes) -> None:
        """Collect an upload; called by tornado."""
        self._received_bytes += len(chunk)
        if self._room is not None and self._received_bytes <= UPLOAD_LIMIT_BYTES:
            self._upload += chunk

    async def get(self) -> None:
        """List the files."""
        after, limit = self.page(FILES_PAGE_LIMIT)
        purpose, order = self.query("purpose"), self.one_of("order", get_args(FileOrder))
        behind = dataset_id_of(after) if after is not None else None
        rows = await self.services.db.read(
            lambda c: statements.list_page(c, self.identity, behind, limit + 1, order or "desc")
        )
        items = [await self.describe(row) for row in rows]
        self.answer_json(as_page(items if purpose in (None, PURPOSE) else [], limit))

    async def post(self) -> None:
        """Make a dataset of a file, and a version of it."""
        if self._received_bytes > UPLOAD_LIMIT_BYTES:
            raise _too_large()
        kind, body = self.request.headers.get("Content-Type", ""), bytes(self._upload)
        upload = await asyncio.to_thread(parse_form, kind, body)
        check_file_name(upload.filename)
        dataset = await self._make(upload)
        try:
            await self._fill(dataset, upload)
        except BaseException:
            await delete_dataset(self, dataset)
            raise
        row = await self.services.db.read(
            lambda c: statements.get(c, self.identity, dataset, Right.VIEW)
        )
        self.answer_json(await self.describe(row))

    async def _make(self, upload: UploadForm) -> str:
        asked = {"name": dataset_name(upload.filename), "sensitivity": upload.sensitivity}
        wanted = parse(DatasetCreate, asked, InvalidInputError)

        def note(connection: Connection, made: str, name: str) -> None:
            self.audit(connection, "dataset.create", made, name=name)
            if upload.expires_at is not None:
                statements.expire(connection, made, upload.expires_at)

        row = await create_dataset(self.services, self.identity, wanted, note)
        return row["id"]

    async def _fill(self, dataset: str, upload: UploadForm) -> None:
        """Import and publish; a file with bad rows is kept, and says so."""
        services, me = self.services, self.identity.tenant_id
        receiver = await services.uploads.begin(dataset, upload.filename, None, len(upload.body))
        try:
            await receiver.write(upload.body)
            file, _ = await services.uploads.finish(receiver, dataset, upload.filename, me)
        finally:
            services.uploads.release(receiver)
        begun = await services.imports.start(
            self.identity, me, file, ImportPlan(), self.note_import
        )
        imported = await services.operations.ended(begun["id"])
        row = await services.db.read(
            lambda c: statements.get(c, self.identity, dataset, Right.VIEW)
        )
        if row["state"] == "refused":
            return
        _require(imported)
        begun = await start_publishing(self, dataset, PublishRequest())
        _require(await services.operations.ended(begun["id"]))

    def on_finish(self) -> None:
        """Give the room free; called by tornado when the answer is out."""
        self._release()
        super().on_finish()

    def on_connection_close(self) -> None:
        """Give the room free; called by tornado when the sender is gone."""
        self._release()
        super().on_connection_close()

    def _release(self) -> None:
        if self._room is not None:
            self._room.release()


class TrainingFileHandler(_TrainingFileHandler):
    """One file."""

    async def get(self, training_file: str) -> None:
        """Answer the file."""
        self.check_query()
        self.answer_json(await self.describe(await self.find(training_file, Right.VIEW)))

    async def delete(self, training_file: str) -> None:
        """Delete the file; its versions are withdrawn, if there are any."""
        self.check_query()
        row = await self.find(training_file, Right.MANAGE)
        dataset = row["dataset_id"]
        made = await self.services.db.read(lambda c: statements.completed(c, dataset))
        for version in made:
            await withdraw_version(self, version, "The file was deleted.")
        if not made:
            await delete_dataset(self, dataset)
        self.answer_json({"id": training_file, "object": "file", "deleted": True})


class TrainingFileContentHandler(OpenAIHandler, ContentHandler):
    """The bytes of a file."""

    async def get(self, training_file: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Send the file as it came."""
        row = await self.services.db.read(
            lambda c: statements.get(c, self.identity, dataset_id_of(training_file), Right.EDIT)
        )
        await super().get(row["dataset_id"], row["id"])


def _require(ended: RowMapping) -> None:
    """Raise what ended an operation before it was done."""
    if ended["state"] == "cancelled":
        raise ConflictError("The upload was cancelled.")
    if ended["state"] != "completed":
        raise from_problem(ended["error"]) if ended["error"] else InternalError()


def _too_large() -> TooLargeError:
    return TooLargeError(
        f"A file may have at most {UPLOAD_LIMIT_BYTES} bytes here.",
        hint="Upload it in parts at api/datasets, publish it, and name the version as the "
        "training_file.",
    )


ROUTES = [
    Route(
        "v1/files",
        TrainingFilesHandler,
        {
            "GET": Operation(
                "read",
                "Files to fine-tune on, as OpenAI lists them.",
                query={
                    **PAGE_QUERY,
                    "order": "`desc`, newest first, or `asc`.",
                    "purpose": f"`{PURPOSE}`: files have no other.",
                },
            ),
            "POST": Operation(
                "write",
                "Upload a file to fine-tune on: a dataset is made of it and published.",
                streamed=True,
                body_media="multipart/form-data",
            ),
        },
    ),
    Route(
        "v1/files/{training_file}",
        TrainingFileHandler,
        {
            "GET": Operation("read", "One file."),
            "DELETE": Operation(
                "write",
                "Delete a file: its versions are withdrawn, or the dataset is deleted if it has "
                "none.",
                fresh_identity=True,
            ),
        },
    ),
    Route(
        "v1/files/{training_file}/content",
        TrainingFileContentHandler,
        {"GET": Operation("read", "A file as it came.", media="application/octet-stream")},
    ),
]

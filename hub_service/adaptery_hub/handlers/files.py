"""`api/datasets/{dataset}/files`: uploads into a draft."""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import AdapteryError, FieldProblem, InvalidInputError, NotFoundError
from adaptery.ids import is_id
from adaptery.schemas.common import Page
from adaptery.schemas.datasets import FileInfo
from adaptery.schemas.imports import BadRecords
from adaptery.schemas.mappings import FORMATS, Format
from adaptery_hub.database import tables
from adaptery_hub.database.statements import files as statements
from adaptery_hub.drafts import Draft
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.request_headers import content_length
from adaptery_hub.imports import ImportPlan, describe_file
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.storage import Reservation
from adaptery_hub.uploads import OffsetError, Receiver

#: When the records of an upload enter the draft.
When = Literal["now", "later"]
#: Characters of a file name.
FILE_NAME_LIMIT = 255


class FilesHandler(Handler):
    """All files of a draft."""

    async def get(self, dataset: str) -> None:
        """List the files."""
        after, limit = self.page()

        def read(connection: Connection) -> list[RowMapping]:
            fetch(connection, tables.datasets, self.identity, dataset, Right.VIEW)
            return statements.list_page(connection, dataset, after, limit + 1)

        rows = await self.services.db.read(read)
        self.answer_page([describe_file(row) for row in rows], limit)


class FileOfDraftHandler(Handler):
    """Base of what is about one file, named by its id or its name."""

    async def find_file(self, dataset: str, file: str, right: Right) -> RowMapping:
        """Return the row of a file of a dataset on which the caller has a right.

        Raises:
            NotFoundError: there is none, or the caller may not know it.
            NotAllowedError: the caller has a lesser right.
        """
        await self.find_dataset(dataset, right)
        row = await self.services.db.read(lambda c: statements.find(c, dataset, file))
        if row is None:
            raise NotFoundError("There is no such file in this draft.")
        return row

    async def find_dataset(self, dataset: str, right: Right) -> RowMapping:
        """Return the row of a dataset on which the caller has a right.

        Raises:
            NotFoundError: there is none, or the caller may not know it.
            NotAllowedError: the caller has a lesser right.
        """
        return await self.services.db.read(
            lambda c: fetch(c, tables.datasets, self.identity, dataset, right)
        )

    def note_import(self, connection: Connection, row: RowMapping) -> None:
        """Write down that the records of a file came into the draft."""
        counts = {name: row[name] for name in ("bytes", "records", "problems")}
        self.audit(connection, "file.import", row["dataset_id"], name=row["name"], **counts)


class FileHandler(FileOfDraftHandler):
    """One file of a draft."""

    _receiver: Receiver | None = None
    _room: Reservation | None = None

    async def admit(self) -> None:
        """Authorise an upload before its first byte is kept."""
        await super().admit()
        if self.request.method != "PUT":
            return
        self.check_query()
        dataset, name = self.path_kwargs["dataset"], self.path_kwargs["file"]
        row = await self.find_dataset(dataset, Right.EDIT)
        check_file_name(name)
        self._plan()
        self.one_of("import", get_args(When))
        uploads, announced = self.services.uploads, self.request.headers.get("Content-Range")
        length = content_length(self.request.headers.get("Content-Length"))
        expected = uploads.announced_bytes(announced, length)
        self._room = await self.services.storage.reserve(row["tenant_id"], expected)
        self._receiver = await uploads.begin(dataset, name, announced, length)

    async def data_received(self, chunk: bytes) -> None:
        """Hand the next bytes of an upload on; called by tornado, which waits."""
        if self._receiver is not None:
            await self._receiver.write(chunk)
        else:
            await super().data_received(chunk)

    async def get(self, dataset: str, file: str) -> None:
        """Answer the file, and how much of it is received."""
        self.check_query()
        row = await self.find_file(dataset, file, Right.VIEW)
        info = describe_file(row)
        if row["state"] == "receiving":  # a sender that vanished may have left more than it knows
            received = self.services.uploads.received_bytes(dataset, row["name"])
            info = info.model_copy(update={"bytes": received})
        self.answer(info)

    async def put(self, dataset: str, file: str) -> None:
        """Keep the bytes, and import the file once it is whole."""
        receiver = self._receiver
        assert receiver is not None
        services, identity = self.services, self.identity
        owner = await self.find_dataset(dataset, Right.EDIT)  # it may have gone meanwhile
        row, fresh = await services.uploads.finish(receiver, dataset, file, identity.tenant_id)
        if fresh and self.one_of("import", get_args(When)) != "later":
            row = await services.imports.now(
                identity, owner["tenant_id"], row, self._plan(), self.note_import
            )
        # Of a file that is there already, a part is still only a part: its content may differ.
        status = 201 if fresh else 200 if receiver.complete else 202
        self.answer(describe_file(row), status)

    async def delete(self, dataset: str, file: str) -> None:
        """Remove a file and its records from the draft."""
        services = self.services
        row = await self.find_file(dataset, file, Right.EDIT)
        await services.imports.cancel(dataset, row["id"])

        def remove(draft: Draft) -> tuple[int, int]:
            draft.remove_file(row["id"])
            return draft.count(), draft.size()

        count, size = await services.drafts.write(dataset, remove)

        def forget(connection: Connection) -> None:
            statements.remove(connection, row["id"])
            statements.touch_dataset(connection, dataset, count, size)
            details = {"name": row["name"], "bytes": row["bytes"], "records": row["records"]}
            self.audit(connection, "file.remove", dataset, **details)

        await services.db.write(forget)
        await services.uploads.drop(row)
        self.answer_nothing()

    def on_finish(self) -> None:
        """Give the file free; called by tornado when the answer is out."""
        self._release()
        super().on_finish()

    def on_connection_close(self) -> None:
        """Give the file free; called by tornado when the sender is gone."""
        self._release()
        super().on_connection_close()

    def render_error(self, error: AdapteryError) -> None:
        """See `Handler.render_error`; an offset error also says what is received."""
        if isinstance(error, OffsetError):
            self.set_header("X-Received-Bytes", str(error.received_bytes))
        super().render_error(error)

    def _release(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self.services.uploads.release(receiver)
        if self._room is not None:
            self._room.release()

    def _plan(self) -> ImportPlan:
        format: Format | None = self.one_of("format", FORMATS)
        bad_records: BadRecords | None = self.one_of("bad_records", get_args(BadRecords))
        return ImportPlan(format=format, skip_bad_records=bad_records == "skip")


def check_file_name(name: str) -> None:
    """Refuse a name that could be mistaken for something else.

    Raises:
        InvalidInputError: it is empty, too long, an id, or has a slash or control character.
    """
    if (
        not 1 <= len(name) <= FILE_NAME_LIMIT
        or "/" in name
        or not name.isprintable()
        or is_id(name)
    ):
        raise InvalidInputError(
            errors=[
                FieldProblem(
                    "file",
                    "is no name of a file.",
                    f"Use at most {FILE_NAME_LIMIT} printable characters without a slash.",
                )
            ]
        )


ROUTES = [
    Route(
        "api/datasets/{dataset}/files",
        FilesHandler,
        {
            "GET": Operation(
                "read", "Files of the draft.", response=Page[FileInfo], query=PAGE_QUERY
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/files/{file}",
        FileHandler,
        {
            "GET": Operation(
                "read",
                "One file, by id or name; its bytes while it is received.",
                response=FileInfo,
            ),
            "PUT": Operation(
                "write",
                "Upload a file: whole, or in parts by Content-Range. 201 imported, or received for "
                "later, 202 part received, 200 the same file was there.",
                response=FileInfo,
                status=201,
                or_status=(200, 202),
                query={
                    "format": f"One of {', '.join(FORMATS)}; found out if left out.",
                    "import": "`now`, or `later`: the file is only received, to be looked at "
                    "before it is imported.",
                    "bad_records": "`refuse` a file that has any (and keep nothing of it), or "
                    "`skip` them.",
                },
                streamed=True,
            ),
            "DELETE": Operation(
                "write",
                "Remove a file and its records from the draft.",
                status=204,
                fresh_identity=True,
            ),
        },
    ),
]

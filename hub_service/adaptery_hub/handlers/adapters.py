"""`api/adapters`: the adapters that the caller may use."""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import Sequence
from typing import IO

from sqlalchemy.engine import Connection, RowMapping
from tornado.iostream import StreamClosedError

from adaptery.errors import NotAllowedError, NotFoundError
from adaptery.schemas.adapters import Adapter, AdapterChange, AdapterLimits
from adaptery.schemas.common import Page
from adaptery_hub.audit import AuditEntry
from adaptery_hub.database import tables
from adaptery_hub.database.prepared import Row
from adaptery_hub.database.statements import adapters as statements
from adaptery_hub.database.statements import grants, lineage
from adaptery_hub.fleet.adapter_manifests import downloaded_folder
from adaptery_hub.fleet.offers import OfferedFolder, adapter_prefix
from adaptery_hub.handlers.admission import Check, while_admitted
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.downloads import DOWNLOAD_CHUNK_BYTES
from adaptery_hub.objects import ObjectStore
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.weights import pinned_name

DOWNLOAD_MEDIA = "application/zip"
#: A download up to this size is put together in memory, a larger one in a temporary file.
IN_MEMORY_BYTES = 8 * 1024 * 1024


class AdaptersHandler(Handler):
    """The adapters that the caller may use."""

    async def get(self) -> None:
        """List adapters, newest first."""
        after, limit = self.page()
        search = self.query("search")

        def read(connection: Connection) -> list[Adapter]:
            rows = statements.list_usable(connection, self.identity, after, limit, search)
            return describe_adapters(connection, rows)

        self.answer_page(await self.services.db.read(read), limit)


class AdapterHandler(Handler):
    """One adapter."""

    async def get(self, adapter: str) -> None:
        """Answer the adapter."""
        self.check_query()
        self.answer(await self.describe(await self.find(adapter, Right.USE)))

    async def patch(self, adapter: str) -> None:
        """Change the limits of the adapter."""
        self.check_query()
        await self.find(adapter, Right.MANAGE)
        limits = self.body(AdapterChange).limits.model_dump(exclude_none=True)

        def change(connection: Connection) -> None:
            statements.set_limits(connection, adapter, limits or None)
            self.audit(connection, "adapter.limits", adapter, **limits)

        await self.services.db.write(change)
        self.answer(await self.describe(await self.find(adapter, Right.MANAGE)))

    async def delete(self, adapter: str) -> None:
        """Delete the adapter; its number is not given out again."""
        await delete_adapter(self, await self.find(adapter, Right.MANAGE))
        self.answer_nothing()

    async def describe(self, row: RowMapping) -> Adapter:
        """Returns the adapter as the API shows it."""
        return (await self.services.db.read(lambda c: describe_adapters(c, [row])))[0]

    async def find(self, adapter: str, right: Right) -> RowMapping:
        """Returns the adapter if the caller has this right on it.

        Raises:
            NotFoundError: There is no such adapter, or the caller may not know it.
            NotAllowedError: The caller may use it, but has not this right.
        """
        row = await self.services.db.read(
            lambda c: statements.find_usable(c, self.identity, adapter_id=adapter)
        )
        if row is None:
            raise NotFoundError()
        check_right(row, right)
        return row


class AdapterDownloadHandler(AdapterHandler):
    """The files of one adapter."""

    async def get(self, adapter: str) -> None:
        """Answer the adapter's folder, with its signed manifest, as one zip file."""
        self.check_query()
        row = await self.find(adapter, Right.VIEW)
        key = self.services.manifest_key
        folder = await self.services.db.read(lambda c: downloaded_folder(c, row, key))
        packed = await asyncio.to_thread(pack, self.services.objects, folder)
        with packed:
            await note_download(self, "adapter.download", row)
            await send_zip(
                self,
                packed,
                f"{row['name']}-{row['number']}",
                adapter,
                lambda c, identity: fetch(c, tables.adapters, identity, adapter, Right.VIEW),
            )


async def note_download(handler: Handler, action: str, row: Row) -> None:
    """Writes down that weights are handed out, before their first byte is."""
    told = {
        "name": pinned_name(row),
        "weight_digest": row["weight_digest"],
        "bytes": row["bytes"],
    }
    await handler.services.db.write(lambda c: handler.audit(c, action, row["id"], **told))


async def send_zip(
    handler: Handler, packed: IO[bytes], name: str, thing_id: str, check: Check
) -> None:
    """Answers with a zip file for as long as the caller would still be let in."""
    handler.set_header("Content-Type", DOWNLOAD_MEDIA)
    handler.set_header("Content-Disposition", f'attachment; filename="{name}.zip"')

    async def send() -> None:
        while chunk := await asyncio.to_thread(packed.read, DOWNLOAD_CHUNK_BYTES):
            handler.write(chunk)
            try:
                await handler.flush()
            except StreamClosedError:
                return

    await while_admitted(handler, send(), thing_id, check)


def check_right(row: Row, right: Right) -> None:
    """Looks whether the caller, who may use an adapter, has this right on it.

    Raises:
        NotAllowedError: The caller has not.
    """
    if row["right"] < right:
        raise NotAllowedError(f"This needs the right to {right.word}.")


async def delete_adapter(handler: Handler, row: Row) -> None:
    """Deletes an adapter that the caller manages; running answers of it end.

    Raises:
        NotFoundError: Somebody else has just deleted it.
    """
    services, audit, identity = handler.services, compute_of(handler).audit, handler.identity
    adapter_id = row["id"]
    details = {"weight_digest": row["weight_digest"], "bytes": row["bytes"]}
    entry = AuditEntry(
        "adapter.delete", identity.tenant_id, adapter_id, details, handler.request_id
    )

    def remove(connection: Connection) -> None:
        if not statements.set_state(
            connection, adapter_id, statements.COMPLETED, statements.DELETED
        ):
            raise NotFoundError()
        grants.remove_all(connection, adapter_id)
        audit.append(connection, entry)

    await services.db.write(remove)
    await compute_of(handler).queue.fail_lossy()
    services.admissions.recheck(adapter_id)
    await asyncio.to_thread(services.objects.remove_folder, adapter_prefix(adapter_id))


def pack(objects: ObjectStore, folder: OfferedFolder) -> IO[bytes]:
    """Returns the files of an adapter as a zip, from its start. Blocks."""
    target = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in folder.files or ():
            archive.write(objects.local_path(f"{folder.prefix}/{file['path']}"), str(file["path"]))
        for path, raw in folder.made.items():
            archive.writestr(path, raw)
    target.seek(0)
    return target


def describe_adapters(connection: Connection, rows: Sequence[RowMapping]) -> list[Adapter]:
    """Returns adapters as the API shows them."""
    withdrawn = lineage.withdrawn_jobs(connection, {row["job_id"] for row in rows})
    return [_describe(row, withdrawn=row["job_id"] in withdrawn) for row in rows]


def _describe(row: RowMapping, *, withdrawn: bool) -> Adapter:
    prefix = row["slug"] if row["tenant_kind"] == "group" else f"@{row['slug']}"
    return Adapter(
        id=row["id"],
        name=row["name"],
        full_name=pinned_name(row),
        number=row["number"],
        tenant=prefix,
        job=row["job_id"],
        base_model=row["base_model"],
        weight_digest=row["weight_digest"],
        content_digests=tuple(row["content_digests"]),
        kind=row["kind"],
        rank=row["rank"],
        bytes=row["bytes"],
        sensitivity=row["sensitivity"],
        right=Right(row["right"]).word,
        created_at=row["created_at"],
        limits=AdapterLimits(**row["limits"]) if row["limits"] else None,
        withdrawn=withdrawn,
    )


ROUTES = [
    Route(
        "api/adapters",
        AdaptersHandler,
        {
            "GET": Operation(
                "read",
                "The adapters that I may use, newest first.",
                response=Page[Adapter],
                query={
                    **PAGE_QUERY,
                    "search": "Only adapters whose full name (`@demo/soap@1`) holds this, in "
                    "whatever case.",
                },
            )
        },
    ),
    Route(
        "api/adapters/{adapter}",
        AdapterHandler,
        {
            "GET": Operation("read", "One adapter.", response=Adapter),
            "PATCH": Operation(
                "write",
                "Set the limits of an adapter that I manage.",
                request=AdapterChange,
                response=Adapter,
            ),
            "DELETE": Operation("write", "Delete an adapter.", status=204, fresh_identity=True),
        },
    ),
    Route(
        "api/adapters/{adapter}/download",
        AdapterDownloadHandler,
        {
            "GET": Operation(
                "read",
                "The adapter's folder and its signed manifest as a zip file.",
                media=DOWNLOAD_MEDIA,
            )
        },
    ),
]

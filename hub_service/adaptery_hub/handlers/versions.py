"""`api/datasets/{dataset}/versions`, `api/versions/{version}`: publishing and reading versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from sqlalchemy.engine import Connection, RowMapping

from adaptery.manifests import Manifest
from adaptery.schemas.common import Page
from adaptery.schemas.curation import RecordItem
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.schemas.datasets import PublishRequest, Version
from adaptery_hub.database import tables
from adaptery_hub.database.statements import datasets
from adaptery_hub.database.statements import versions as statements
from adaptery_hub.handlers.admission import while_admitted
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.downloads import DOWNLOAD_CHUNK_BYTES, read_chunk
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import parse_position
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.publishing import PublishedRecord, describe_version, prefix_of, source_names
from adaptery_hub.publishing.folders import ORIGINALS
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

P = ParamSpec("P")
T = TypeVar("T")


class DatasetVersionsHandler(Handler):
    """The versions of one dataset."""

    async def get(self, dataset: str) -> None:
        """List the versions."""
        after, limit = self.page()

        level = self.services.store_desk.level

        def read(connection: Connection) -> list[Version]:
            fetch(connection, tables.datasets, self.identity, dataset, Right.VIEW)
            rows = statements.list_page(connection, dataset, after, limit + 1)
            names = source_names(connection, self.identity, rows)
            return [describe_version(row, level, names) for row in rows]

        self.answer_page(await self.services.db.read(read), limit)

    async def post(self, dataset: str) -> None:
        """Begin to publish the draft."""
        row = await start_publishing(self, dataset, self.body(PublishRequest))
        self.answer(describe_operation(row, self.services.operations))


async def start_publishing(handler: Handler, dataset: str, wanted: PublishRequest) -> RowMapping:
    """Begin to publish a draft; return the row of the operation.

    Raises:
        NotFoundError: there is no such dataset, or the caller may not know it.
        NotAllowedError: the caller has a lesser right.
        StorageQuotaError: its owner has no room.
        ConflictError: another operation is running on it.
    """
    services, identity = handler.services, handler.identity

    def note(connection: Connection, version: Version) -> None:
        details = {"name": version.name, "records": version.records}
        digest = version.content_digest or ""
        handler.audit(connection, "version.publish", version.id, content_digest=digest, **details)
        replaced = statements.replaced_by(connection, version.dataset, version.created_at)
        if replaced is not None:
            name = statements.full_name(replaced)
            handler.audit(
                connection, "version.withdraw", replaced["id"], content_digest=digest, name=name
            )

    row = await services.db.read(lambda c: datasets.get(c, identity, dataset, Right.MANAGE))
    await services.storage.check(row["tenant_id"])
    work = services.publisher.work(row, identity.tenant_id, wanted, note)
    work.names = lambda c, version: source_names(c, identity, [version])
    return await services.operations.start(
        identity,
        "publish",
        dataset,
        work,
        may=lambda c: fetch(c, tables.datasets, identity, dataset, Right.MANAGE),
    )


class _VersionHandler(Handler):
    async def find(self, version: str) -> tuple[RowMapping, str]:
        """Return a version that can be read, and where its files lie."""
        row = await self.services.db.read(
            lambda c: statements.get(c, self.identity, version, Right.VIEW)
        )
        statements.check_readable(row)
        return row, prefix_of(row)

    async def in_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what reads a version; see `PublishedVersions.in_thread`."""
        tenant_id = self.identity.tenant_id
        return await self.services.published.in_thread(tenant_id, fn, *args, **kwargs)


class VersionHandler(_VersionHandler):
    """One version."""

    async def get(self, version: str) -> None:
        """Answer the version."""
        self.check_query()
        services = self.services

        def read(connection: Connection) -> Version:
            row = statements.get(connection, self.identity, version, Right.VIEW)
            names = source_names(connection, self.identity, [row])
            shown = describe_version(row, services.store_desk.level, names)
            if services.clearml is None:
                return shown
            return shown.model_copy(update={"clearml": services.clearml.describe(connection, row)})

        self.answer(await services.db.read(read))


class ManifestHandler(_VersionHandler):
    """The signed manifest of a version."""

    async def get(self, version: str) -> None:
        """Answer the manifest, verified."""
        self.check_query()
        _, prefix = await self.find(version)
        made = self.one_of("made", ("true", "false")) == "true"
        published = self.services.published
        self.set_header("Content-Type", "application/json")
        if made:
            data = (await self.in_thread(published.content, prefix)).manifest_bytes
        else:
            data = (await self.in_thread(published.manifest, prefix)).to_bytes()
        self.finish(data)


class VersionRecordsHandler(_VersionHandler):
    """The records of a version."""

    async def get(self, version: str) -> None:
        """Page through the records."""
        after, limit = self.page()
        position = parse_position(after, "after")
        _, prefix = await self.find(version)
        published = self.services.published
        items = await self.in_thread(published.page, prefix, position, limit + 1)
        self.answer_page([_describe(item) for item in items], limit)


class DownloadHandler(_VersionHandler):
    """The content of a version, as a stream."""

    async def get(self, version: str) -> None:
        """Stream the records as JSON Lines, or one file of the manifest as it is."""
        self.check_query()
        name = self.query("file")
        row, prefix = await self.find(version)
        sending = (
            self._send_records(row, prefix) if name is None else self._send_file(row, prefix, name)
        )
        await while_admitted(
            self,
            sending,
            row["dataset_id"],
            lambda c, identity: fetch(c, tables.versions, identity, version, Right.VIEW),
        )

    async def _send_records(self, row: RowMapping, prefix: str) -> None:
        # Verified before the first byte: an error after it could only cut the stream.
        published = self.services.published
        await self.in_thread(published.content, prefix)
        await self._note(row)
        self.set_header("Content-Type", "application/x-ndjson")
        self._name_attachment(f"{row['dataset_name']}-{row['number']}.jsonl")
        records = published.records(prefix)
        while lines := await self.in_thread(_lines, records):
            self.write(lines)
            await self.flush()

    async def _send_file(self, row: RowMapping, prefix: str, name: str) -> None:
        if name.startswith(f"{ORIGINALS}/"):
            # They hold what was left out of the version, too.
            await self.services.db.read(
                lambda c: statements.get(c, self.identity, row["id"], Right.EDIT)
            )
        published = self.services.published
        stream, size = await self.in_thread(published.open, prefix, name)
        with stream:
            await self._note(row, file=name)
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Length", str(size))
            self._name_attachment(name.rpartition("/")[2])
            while chunk := await self.in_thread(read_chunk, stream):
                self.write(chunk)
                await self.flush()

    async def _note(self, row: RowMapping, **details: str) -> None:
        """Write down that the content is handed out, before its first byte is."""
        version = describe_version(row)
        told = {"name": version.name, "content_digest": version.content_digest or "", **details}
        await self.services.db.write(
            lambda c: self.audit(c, "version.download", version.id, **told)
        )

    def _name_attachment(self, name: str) -> None:
        # Both names are made of [a-z0-9._-] only.
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')


def _describe(item: PublishedRecord) -> RecordItem:
    return RecordItem(
        id=str(item.position), record_id=item.record_id, record=item.record, split=item.split
    )


def _lines(records: Iterator[PublishedRecord]) -> bytes:
    """Return the next records as JSON Lines; empty at the end."""
    lines = bytearray()
    for item in records:
        lines += json.dumps(item.record, ensure_ascii=False).encode() + b"\n"
        if len(lines) >= DOWNLOAD_CHUNK_BYTES:
            break
    return bytes(lines)


ROUTES = [
    Route(
        "api/datasets/{dataset}/versions",
        DatasetVersionsHandler,
        {
            "GET": Operation(
                "read", "Versions of a dataset.", response=Page[Version], query=PAGE_QUERY
            ),
            "POST": Operation(
                "write",
                "Publish the draft as the next version; the operation's result holds it.",
                request=PublishRequest,
                response=OperationAnswer,
                status=202,
                fresh_identity=True,
            ),
        },
    ),
    Route(
        "api/versions/{version}",
        VersionHandler,
        {"GET": Operation("read", "One version.", response=Version)},
    ),
    Route(
        "api/versions/{version}/manifest",
        ManifestHandler,
        {
            "GET": Operation(
                "read",
                "The signed manifest of a version.",
                response=Manifest,
                query={
                    "made": "`true`: of a merged version, the manifest of the files that its "
                    "recipe comes to."
                },
            )
        },
    ),
    Route(
        "api/versions/{version}/records",
        VersionRecordsHandler,
        {
            "GET": Operation(
                "read",
                "Records of a version, in order.",
                response=Page[RecordItem],
                query=PAGE_QUERY,
            )
        },
    ),
    Route(
        "api/versions/{version}/download",
        DownloadHandler,
        {
            "GET": Operation(
                "read",
                "Records of a version as JSON Lines, or one of its files.",
                media="application/x-ndjson",
                query={"file": "A path of the manifest: that file as it lies in the store."},
            )
        },
    ),
]

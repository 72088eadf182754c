"""`api/stores`, short-lived access to versions, and the erasing of datasets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError
from adaptery.manifests import ManifestFile
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.schemas.stores import Access, AccessFile, EraseRequest, Erasure, Store
from adaptery.times import now
from adaptery_hub.database import tables
from adaptery_hub.database.statements import datasets, erasures
from adaptery_hub.database.statements import versions as version_statements
from adaptery_hub.erasure import describe_erasure
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.publishing import prefix_of
from adaptery_hub.publishing.folders import ORIGINALS
from adaptery_hub.routes import Operation, Route


class StoresHandler(Handler):
    """The object store."""

    async def get(self) -> None:
        """Answer what was proved of it."""
        self.check_query()
        self.answer(self.services.store_desk.describe())


class AccessHandler(Handler):
    """Addresses of the files of a version in the store itself."""

    async def get(self, version: str) -> None:
        """Hand them out, for a while."""
        self.check_query()

        def read(connection: Connection) -> tuple[RowMapping, Right]:
            held = fetch(connection, tables.versions, self.identity, version, Right.VIEW)["right"]
            found = version_statements.get(connection, self.identity, version, Right.VIEW)
            return found, Right(held)

        row, right = await self.services.db.read(read)
        version_statements.check_readable(row)
        store = self.services.objects
        if not isinstance(store, S3Store) or not self.services.store_desk.hands_out_addresses:
            raise ConflictError(
                "This store hands out no short-lived addresses.",
                hint="Use the download of the version instead.",
            )
        prefix = prefix_of(row)
        manifest = await asyncio.to_thread(self.services.published.manifest, prefix)
        if row["sensitivity"] == "restricted" or manifest.at_rest is not None:
            raise ConflictError(
                "Restricted versions are read through the service only.",
                hint="Use the download of the version instead.",
            )
        wanted = [entry for entry in manifest.files if _is_for(entry, right)]
        access = await asyncio.to_thread(self._access, store, row, prefix, wanted)
        details = {"name": version_statements.full_name(row), "files": len(access.files)}
        await self.services.db.write(lambda c: self.audit(c, "version.access", version, **details))
        self.set_header("Cache-Control", "no-store")
        self.answer(access)

    def _access(
        self, store: S3Store, row: RowMapping, prefix: str, wanted: Sequence[ManifestFile]
    ) -> Access:
        lives = timedelta(minutes=self.services.settings.access_minutes)
        return Access(
            version=row["id"],
            manifest_digest=row["manifest_digest"],
            expires_at=now() + lives,
            files=tuple(
                AccessFile(
                    path=entry.path,
                    url=store.address(f"{prefix}/{entry.path}", int(lives.total_seconds())),
                    bytes=entry.bytes,
                    digest=entry.digest,
                )
                for entry in wanted
            ),
        )


class EraseHandler(Handler):
    """The erasing of a dataset."""

    async def get(self, dataset: str) -> None:
        """Answer what the last erasing came to."""
        self.check_query()

        def read(connection: Connection) -> RowMapping | None:
            fetch(connection, tables.datasets, self.identity, dataset, Right.MANAGE)
            return erasures.latest(connection, dataset)

        row = await self.services.db.read(read)
        if row is None:
            raise ConflictError("This dataset was never erased.")
        self.answer(describe_erasure(row))

    async def post(self, dataset: str) -> None:
        """Begin to erase it."""
        wanted = self.body(EraseRequest)
        services, identity = self.services, self.identity

        def read(connection: Connection) -> RowMapping:
            row = datasets.get(connection, identity, dataset, Right.MANAGE)
            _check_name(row, wanted.name)
            services.eraser.check(connection, dataset)
            return row

        row = await services.db.read(read)
        work = services.eraser.work(row, identity, self.request_id)
        operation = await services.operations.start(identity, "erase", dataset, work)
        self.answer(describe_operation(operation, services.operations))


def _is_for(entry: ManifestFile, right: Right) -> bool:
    """Tell whether a file is for whom has this right: originals hold what was left out, too."""
    return right >= Right.EDIT or not entry.path.startswith(f"{ORIGINALS}/")


def _check_name(row: RowMapping, name: str) -> None:
    if name != f"{row['prefix']}/{row['name']}":
        raise InvalidInputError(
            "The name does not match; nothing was erased.",
            errors=[
                FieldProblem("name", "is not the dataset's full name.", "Type it as it is shown.")
            ],
        )


ROUTES = [
    Route(
        "api/stores",
        StoresHandler,
        {
            "GET": Operation(
                "read",
                "The object store: whether it enforces what is published, and how that was tested.",
                response=Store,
            )
        },
    ),
    Route(
        "api/versions/{version}/access",
        AccessHandler,
        {
            "GET": Operation(
                "read",
                "Short-lived addresses of the files of a version in the store itself.",
                response=Access,
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/erase",
        EraseHandler,
        {
            "GET": Operation(
                "read", "What the last erasing of a dataset came to.", response=Erasure
            ),
            "POST": Operation(
                "write",
                "Erase a dataset for good; the operation's result says what remains.",
                request=EraseRequest,
                response=OperationAnswer,
                status=202,
                fresh_identity=True,
            ),
        },
    ),
]

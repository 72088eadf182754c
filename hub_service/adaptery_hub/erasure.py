"""Erasing a dataset for good: its key, draft, files, versions and caches.

    check that nothing learns from it -> write it down, its versions `erased` -> destroy the key
    -> draft and uploads -> files of the versions -> caches -> write down what came of it

Invariants:

- From the moment that it is written down nobody reads the dataset any more, and there is no way
  back: what was begun is brought to an end, also after a kill, by the next start.
- Each step may be done again.
- The key goes first: what a backup or a locked store still holds is unreadable from then on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError
from adaptery.schemas.stores import Erasure
from adaptery_hub import erasure_remains, logs
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.clearml import links as clearml
from adaptery_hub.database import Database
from adaptery_hub.database.statements import erasures as statements
from adaptery_hub.database.statements import storage as storage_statements
from adaptery_hub.database.statements import versions as version_statements
from adaptery_hub.drafts import Drafts
from adaptery_hub.identity import Identity
from adaptery_hub.key_store import KeyStore, KeyStoreError
from adaptery_hub.objects import KeptObject, ObjectStore
from adaptery_hub.operations import Cancelled, Progress
from adaptery_hub.publishing import PublishedVersions, prefix_of
from adaptery_hub.uploads import Uploads

logger = logging.getLogger(__name__)

#: Steps that are reported.
STEPS = 4
_SHOWN = ("key_destroyed", "records", "files", "versions", "objects", "bytes", "remains")

Tell = Callable[[int], None]


def describe_erasure(row: RowMapping) -> Erasure:
    """Return a row of `statements.erasures` as the API shows it."""
    result: Mapping[str, Any] = row["result"]
    return Erasure(
        id=row["id"],
        dataset=result["name"],
        state=row["state"],
        created_at=row["created_at"],
        **{name: result[name] for name in _SHOWN},
    )


class Eraser:
    """Erases datasets."""

    def __init__(
        self,
        database: Database,
        drafts: Drafts,
        uploads: Uploads,
        objects: ObjectStore,
        keys: KeyStore,
        published: PublishedVersions,
        audit: AuditLog,
        forget_more: Callable[[], None] = lambda: None,
    ) -> None:
        self._forget_more = forget_more
        self._database = database
        self._drafts = drafts
        self._uploads = uploads
        self._objects = objects
        self._keys = keys
        self._published = published
        self._audit = audit

    def work(self, dataset: RowMapping, identity: Identity, request_id: str | None) -> EraseWork:
        """Return the work of erasing a dataset, for `Operations.start`; on the event loop only.

        Args:
            dataset: its row of `statements.datasets`.
            identity: who erases it.
            request_id: of the request, for the audit; None: its time is over.
        """
        return EraseWork(self, dataset, identity, request_id, asyncio.get_running_loop())

    def check(self, connection: Connection, dataset_id: str) -> None:
        """Refuse while something learns from the dataset, and where nothing is left to erase.

        Raises:
            ConflictError: jobs on it, or on what was merged from it, are not over; or it was
                erased, and nothing came into it since.
        """
        if statements.is_erased(connection, dataset_id):
            raise ConflictError(
                "This dataset was erased already, and nothing came into it since.",
                hint="What that came to is still told: GET the same address.",
            )
        ids = [row["id"] for row in statements.versions_of(connection, dataset_id)]
        wanted = [*ids, *statements.merged_from(connection, ids)]
        if count := statements.open_jobs(connection, wanted):
            raise ConflictError(
                f"{count} jobs that learn from this dataset are not over.",
                hint="Cancel them, or wait for their end, and erase it then.",
            )

    def begin(self, dataset: RowMapping, identity: Identity, request_id: str | None) -> RowMapping:
        """Write down that a dataset is being erased; from here on nobody reads it. Blocking.

        An erasing that was begun before, and broken off, goes on.

        Raises:
            ConflictError: see `check`.
        """
        dataset_id = dataset["id"]
        stored = self._objects.list(_folder(dataset_id))
        known = {
            "name": f"{dataset['prefix']}/{dataset['name']}",
            "key_destroyed": self._keys.holds(dataset_id),
            "objects": len(stored),
            "bytes": sum(info.bytes for info in stored),
        }

        def begin(connection: Connection) -> RowMapping:
            row = statements.latest(connection, dataset_id)
            if row is None or row["state"] != statements.RUNNING:
                self.check(connection, dataset_id)
                result = {**known, **_named(connection, dataset, identity)}
                statements.insert(connection, dataset_id, identity.tenant_id, result)
                statements.forget_content(connection, dataset_id)
                row = statements.latest(connection, dataset_id)
            assert row is not None
            self._note(connection, "dataset.erase", row, request_id)
            return row

        return self._database.write_now(begin)

    def destroy(
        self, row: RowMapping, loop: asyncio.AbstractEventLoop, tell: Tell
    ) -> Sequence[KeptObject]:
        """Destroy what is in reach; return what the store keeps. In a thread; may be done again.

        Raises:
            KeyStoreError: the key cannot be destroyed; nothing else was.
        """
        dataset_id = row["dataset_id"]
        self._keys.destroy(dataset_id)
        tell(1)
        _wait(loop, self._uploads.remove(dataset_id))
        _wait(loop, self._drafts.remove(dataset_id))
        _wait(loop, self._drafts.create(dataset_id))
        tell(2)
        for version in row["result"]["stored"]:
            self._published.forget(version["prefix"])
        self._objects.remove_folder(_folder(dataset_id))
        tell(3)
        self._published.forget_merged()
        self._forget_more()
        tell(4)
        return self._objects.kept(_folder(dataset_id))

    def finish(
        self,
        connection: Connection,
        row: RowMapping,
        kept: Sequence[KeptObject],
        request_id: str | None = None,
    ) -> Erasure:
        """Write down what came of it."""
        result: Mapping[str, Any] = row["result"]
        # Of two with the same place, one once lay there in clear: that one is told.
        stored = sorted(result["stored"], key=lambda v: not v["encrypted"])
        versions = {v["prefix"]: (v["name"], v["encrypted"]) for v in stored}
        more = [*erasure_remains.locked(kept, versions), erasure_remains.everywhere()]
        done = {
            **result,
            "objects": result["objects"] - len(kept),
            "bytes": result["bytes"] - sum(found.bytes for found in kept),
            "remains": [*result["remains"], *(left.model_dump(mode="json") for left in more)],
        }
        statements.finish(connection, row["id"], done)
        statements.count_bytes(
            connection, {v["id"]: _size(kept, v["prefix"]) for v in result["stored"]}
        )
        size = self._drafts.path(row["dataset_id"]).stat().st_size
        storage_statements.count_draft(connection, row["dataset_id"], size)
        self._note(connection, "dataset.erased", row, request_id)
        finished = statements.latest(connection, row["dataset_id"])
        assert finished is not None
        return describe_erasure(finished)

    async def recover(self) -> None:
        """Bring to an end what a kill broke off; called at the start.

        What cannot be destroyed now is tried again at the next start.
        """
        loop = asyncio.get_running_loop()
        for row in await self._database.read(statements.running):
            try:
                kept = await asyncio.to_thread(self.destroy, row, loop, lambda _: None)
            except KeyStoreError as error:
                logs.log(logger, logging.ERROR, "erasure_put_off", reason=error.message)
                continue
            await self._database.write(lambda c, r=row, k=kept: self.finish(c, r, k))

    def _note(
        self, connection: Connection, action: str, row: RowMapping, request_id: str | None
    ) -> None:
        details = {"name": row["result"]["name"], "versions": len(row["result"]["versions"])}
        entry = AuditEntry(action, row["creator_id"], row["dataset_id"], details, request_id)
        self._audit.append(connection, entry)


class EraseWork:
    """One erasing. See `adaptery_hub.operations.Work`."""

    def __init__(
        self,
        eraser: Eraser,
        dataset: RowMapping,
        identity: Identity,
        request_id: str | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._eraser = eraser
        self._dataset = dataset
        self._identity = identity
        self._request_id = request_id
        self._loop = loop
        self._row: RowMapping | None = None
        self._kept: Sequence[KeptObject] = ()

    def run(self, progress: Progress) -> None:
        """Write it down, then destroy.

        Raises:
            ConflictError: something learns from the dataset.
            KeyStoreError: the key cannot be destroyed.
            Cancelled: it was cancelled before it began.
        """
        progress.report(0, STEPS)  # the last moment to cancel

        def tell(done: int) -> None:
            with suppress(Cancelled):  # there is no way back
                progress.report(done, STEPS)

        self._row = self._eraser.begin(self._dataset, self._identity, self._request_id)
        self._kept = self._eraser.destroy(self._row, self._loop, tell)

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Write down what came of it."""
        assert self._row is not None
        erasure = self._eraser.finish(connection, self._row, self._kept, self._request_id)
        return {"erasure": erasure.model_dump(mode="json")}

    def abandon(self) -> None:
        """Nothing is undone: what was begun goes on when it is asked for again, or at the start."""


def _named(connection: Connection, dataset: RowMapping, identity: Identity) -> dict[str, Any]:
    """Return what is erased, and what was made from it."""
    rows = statements.versions_of(connection, dataset["id"])
    ids = [row["id"] for row in rows]
    made = [
        *erasure_remains.made_from(connection, identity, ids),
        *clearml.remaining(connection, ids),
    ]
    return {
        "records": dataset["records"],
        "files": statements.count_files(connection, dataset["id"]),
        "versions": [version_statements.full_name(row) for row in rows],
        "stored": [
            {
                "id": row["id"],
                "name": version_statements.full_name(row),
                "prefix": prefix_of(row),
                "encrypted": bool(row["counts"].get("encrypted"))
                and not row["counts"].get("was_clear"),
            }
            for row in rows
        ],
        "remains": [left.model_dump(mode="json") for left in made],
    }


def _folder(dataset_id: str) -> str:
    return f"datasets/{dataset_id}"


def _size(kept: Sequence[KeptObject], prefix: str) -> int:
    return sum(found.bytes for found in kept if found.key.startswith(f"{prefix}/"))


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    asyncio.run_coroutine_threadsafe(work, loop).result()

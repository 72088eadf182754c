"""Merging, comparing, tracing and withdrawing versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.schemas.datasets import Version
from adaptery.schemas.lineage import (
    DiffItem,
    LineageRequest,
    MergeRequest,
    ProvenanceGraph,
    RecordLineage,
    VersionDiff,
    WithdrawRequest,
)
from adaptery.times import now
from adaptery_hub.database import tables
from adaptery_hub.database.statements import datasets, versions
from adaptery_hub.database.statements import lineage as statements
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import parse_position
from adaptery_hub.paging import take_page
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.publishing import PublishedVersions, describe_version, prefix_of, source_names
from adaptery_hub.publishing.diff_cache import DiffCache
from adaptery_hub.publishing.diffs import Item, WordBudget, counts, items
from adaptery_hub.publishing.lineage import (
    VERSIONS_SEARCHED,
    followed,
    provenance,
    sightings,
)
from adaptery_hub.publishing.merges import (
    MergeWork,
    check_may_merge,
    check_sources,
    merge_facts,
)
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

#: Items of one page of differences: each holds two records.
DIFF_PAGE_MAX = 100
#: Items whose records are read at once.
DIFF_BLOCK = 10


class MergesHandler(Handler):
    """Versions that are merged from others."""

    async def post(self, dataset: str) -> None:
        """Begin to merge versions into the next version of the dataset."""
        wanted = self.body(MergeRequest)
        services, identity = self.services, self.identity

        def read(connection: Connection) -> tuple[RowMapping, list[RowMapping]]:
            row = datasets.get(connection, identity, dataset, Right.MANAGE)
            sources = [
                versions.resolve(connection, identity, source.version, Right.VIEW)
                for source in wanted.sources
            ]
            check_sources(sources)
            return row, sources

        row, sources = await services.db.read(read)
        await services.storage.check(row["tenant_id"])
        work = MergeWork(
            services.publisher,
            services.published,
            row,
            identity.tenant_id,
            wanted,
            sources,
            self._note,
        )
        work.names = lambda c, version: source_names(c, identity, [version])

        started = await services.operations.start(
            identity,
            "merge",
            dataset,
            work,
            may=lambda c: check_may_merge(c, identity, dataset, sources),
        )
        self.answer(describe_operation(started, services.operations))

    def _note(self, connection: Connection, version: Version) -> None:
        self.audit(connection, "version.merge", version.id, **merge_facts(version))


class DiffHandler(Handler):
    """What changed from one version to another."""

    async def get(self, version: str) -> None:
        """Page through the records that differ."""
        services, identity = self.services, self.identity
        after_row = await services.db.read(lambda c: versions.get(c, identity, version, Right.VIEW))
        after, limit = self.page(DIFF_PAGE_MAX)
        position = parse_position(after, "after")
        name = self.query("from")
        if not name:
            raise InvalidInputError(
                errors=[FieldProblem("from", "is required.", "Name the earlier version.")]
            )
        before_row = await services.db.read(
            lambda c: versions.resolve(c, identity, name, Right.VIEW)
        )
        for row in (before_row, after_row):
            versions.check_readable(row)
        with self.holding(services.reports):
            found = await services.published.in_thread(
                identity.tenant_id,
                _diff,
                services.diffs,
                services.published,
                before_row,
                after_row,
                position,
                limit,
            )
        self.answer(found)


class ProvenanceHandler(Handler):
    """Where a version came from, and what came of it."""

    async def get(self, version: str) -> None:
        """Answer the graph around the version."""
        self.check_query()
        identity = self.identity

        def read(connection: Connection) -> ProvenanceGraph:
            fetch(connection, tables.versions, identity, version, Right.VIEW)
            return provenance(connection, identity, version)

        self.answer(await self.services.db.read(read))


class WithdrawHandler(Handler):
    """Versions that must not be used any more."""

    async def post(self, version: str) -> None:
        """Withdraw the version; it stays readable, and nothing new is made from it."""
        self.answer(await withdraw_version(self, version, self.body(WithdrawRequest).reason))


class RecordLineageHandler(Handler):
    """Who saw a record."""

    async def post(self) -> None:
        """Answer the versions that hold the record, and the jobs and adapters that saw it."""
        record_id = self.body(LineageRequest).record_id
        services, identity = self.services, self.identity
        rows = await services.db.read(
            lambda c: statements.newest_versions(c, identity, VERSIONS_SEARCHED)
        )
        published = services.published
        with self.holding(services.reports):
            found = await published.in_thread(
                identity.tenant_id, sightings, published, rows, record_id
            )
        graph = await services.db.read(lambda c: followed(c, identity, found))
        self.answer(RecordLineage(record_id=record_id, versions=tuple(found), graph=graph))


async def withdraw_version(handler: Handler, version: str, reason: str) -> Version:
    """Withdraw a version; jobs that wait to learn from it fail.

    Raises:
        NotFoundError: there is none, or the caller may not know it.
        NotAllowedError: the caller has a lesser right.
        ConflictError: it is withdrawn already.
    """
    identity = handler.identity

    def write(connection: Connection) -> Version:
        row = versions.get(connection, identity, version, Right.MANAGE)
        if not versions.withdraw(connection, version, reason, now()):
            raise ConflictError(f"This version is {row['state']} already.")
        handler.audit(
            connection,
            "version.withdraw",
            version,
            name=versions.full_name(row),
            content_digest=row["content_digest"],
            adapters=statements.count_adapters(connection, version),
        )
        level = handler.services.store_desk.level
        row = versions.get(connection, identity, version, Right.VIEW)
        return describe_version(row, level, source_names(connection, identity, [row]))

    withdrawn = await handler.services.db.write(write)
    if (compute := handler.services.compute) is not None:
        await compute.queue.fail_lossy()
    return withdrawn


def _diff(
    diffs: DiffCache,
    published: PublishedVersions,
    before: RowMapping,
    after: RowMapping,
    position: int,
    limit: int,
) -> VersionDiff:
    path = diffs.path(prefix_of(before), prefix_of(after))
    found = items(path, position, limit + 1)
    items_shown = _shown(found[:limit], position, published, prefix_of(before), prefix_of(after))
    shown = take_page(items_shown, _characters, limit)
    return VersionDiff(
        before=versions.full_name(before),
        after=versions.full_name(after),
        counts=counts(path),
        items=tuple(shown),
        has_more=len(found) > len(shown),
    )


def _shown(
    found: Sequence[Item], first: int, published: PublishedVersions, before: str, after: str
) -> Iterator[DiffItem]:
    """Yield items with their records, which are read as they are asked for: they may be large."""
    budget = WordBudget()
    for start in range(0, len(found), DIFF_BLOCK):
        block = found[start : start + DIFF_BLOCK]
        olds = published.rows_at(before, [item.before for item in block if item.before is not None])
        news = published.rows_at(after, [item.after for item in block if item.after is not None])
        for number, item in enumerate(block, start=first + start + 1):
            old = None if item.before is None else json.loads(olds[item.before].text)
            new = None if item.after is None else json.loads(news[item.after].text)
            words = budget.fields(old, new) if old is not None and new is not None else None
            yield DiffItem(
                id=str(number),
                change=item.change,
                before=old,
                after=new,
                before_position=item.before,
                after_position=item.after,
                words=words,
            )


def _characters(item: DiffItem) -> int:
    return len(item.model_dump_json())


ROUTES = [
    Route(
        "api/datasets/{dataset}/merges",
        MergesHandler,
        {
            "POST": Operation(
                "write",
                "Merge versions into the next version of a dataset; the operation's result holds "
                "it. It references their files and copies none.",
                request=MergeRequest,
                response=OperationAnswer,
                status=202,
                fresh_identity=True,
            )
        },
    ),
    Route(
        "api/versions/{version}/diff",
        DiffHandler,
        {
            "GET": Operation(
                "read",
                "The records that differ from another version, word by word.",
                response=VersionDiff,
                query={**PAGE_QUERY, "from": "The earlier version: its name or id."},
            )
        },
    ),
    Route(
        "api/versions/{version}/provenance",
        ProvenanceHandler,
        {
            "GET": Operation(
                "read",
                "What the version came from and what came of it: files, datasets, "
                "versions, jobs, adapters.",
                response=ProvenanceGraph,
            )
        },
    ),
    Route(
        "api/versions/{version}/withdraw",
        WithdrawHandler,
        {
            "POST": Operation(
                "write",
                "Withdraw a version: nothing new is made from it, and adapters that learnt from "
                "it say so.",
                request=WithdrawRequest,
                response=Version,
                fresh_identity=True,
            )
        },
    ),
    Route(
        "api/records/lineage",
        RecordLineageHandler,
        {
            "POST": Operation(
                "read",
                "Which versions hold a record, and which jobs and adapters saw it.",
                request=LineageRequest,
                response=RecordLineage,
            )
        },
    ),
]

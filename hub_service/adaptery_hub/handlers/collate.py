"""`api/datasets/{dataset}/collate` and `…/sources`: records of other drafts and versions.

Whoever collates must be allowed to view each source. Which one it was, and what it was called, is
told only to who may view it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError
from adaptery.ids import is_id, new_id
from adaptery.schemas.common import SENSITIVITIES, Page
from adaptery.schemas.curation import CollateRequest, CollateSource, SourceInfo
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.times import now
from adaptery_hub.curation import DRAFT_ONLY, CurationWork, Origin, Outcome, Run, Source, collate
from adaptery_hub.database import tables
from adaptery_hub.database.statements import datasets, lineage, tenants, versions
from adaptery_hub.drafts import Draft, DraftSource
from adaptery_hub.handlers.bulk import CurationHandler
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import DraftHandler
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, visible
from adaptery_hub.publishing import prefix_of
from adaptery_hub.publishing.shards import is_shard
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


def viewable(connection: Connection, identity: Identity, ids: Collection[str]) -> set[str]:
    """Return which of some datasets and versions the caller may view."""
    found: set[str] = set()
    for table in (tables.datasets, tables.versions):
        may = visible(table, identity, Right.VIEW)
        found.update(connection.scalars(sa.select(table.c.id).where(table.c.id.in_(ids), may)))
    return found


class OriginHandler(CurationHandler):
    """What handlers share that read other drafts and versions."""

    async def find_origins(self, ids: Sequence[str], dataset: str, where: str) -> list[RowMapping]:
        """Return the rows of datasets and versions that the caller may view, in order.

        Args:
            ids: of datasets and versions.
            dataset: the draft that they are read for, which they must not be.
            where: the field that names them.

        Raises:
            NotFoundError: one does not exist, or the caller has no right on it.
            NotAllowedError: the caller has a lesser right on one.
            InvalidInputError: one is the draft itself.
            ConflictError: a version is not there to be read any more.
        """
        if dataset in ids:
            raise InvalidInputError(
                errors=[FieldProblem(where, "names the draft itself.", "Name another one.")]
            )
        return await self.services.db.read(lambda c: self.still(c, ids))

    def still(self, connection: Connection, ids: Sequence[str]) -> list[RowMapping]:
        """Return the rows of datasets and versions as they are now; see `find_origins`."""
        return [self._find(connection, id) for id in ids]

    def _find(self, connection: Connection, id: str) -> RowMapping:
        if is_id(id, "dv"):
            row = versions.get(connection, self.identity, id, Right.VIEW)
            if row["state"] != versions.COMPLETED:
                raise ConflictError(
                    f"This version is {row['state']}: nothing new is made from it.",
                    hint="Use another version.",
                )
            return row
        return datasets.get(connection, self.identity, id, Right.VIEW)

    def origin(self, row: RowMapping) -> Origin:
        """Return what a step needs to read a draft or version. Blocking: it verifies a version.

        Raises:
            IntegrityError: a file of the version is not what was signed.
        """
        services = self.services
        limit = services.drafts.max_records
        if is_id(row["id"], "ds"):
            name = f"{row['prefix']}/{row['name']}"
            path = services.drafts.path(row["id"])
            return Origin(row["id"], "dataset", name, row["records"], limit, draft=path)
        content = services.published.content(prefix_of(row))
        return Origin(
            row["id"],
            "version",
            versions.full_name(row),
            content.manifest.records,
            limit,
            digest=row["content_digest"],
            shards={name: path for name, path in content.shards.items() if is_shard(name)},
        )


class CollateHandler(OriginHandler):
    """The collation of a draft."""

    async def post(self, dataset: str) -> None:
        """Begin to append records of other drafts and versions."""
        self.check_query()
        wanted = self.body(CollateRequest)
        await self.authorise(dataset, Right.EDIT)
        await self.check_storage()
        for number, source in enumerate(wanted.sources):
            _check_filter(source, f"sources.{number}.filter")
        ids = [source.dataset or source.version or "" for source in wanted.sources]
        rows = await self.find_origins(ids, dataset, "sources")
        _check_sensitivity(rows, self.dataset_row["sensitivity"])
        row = await self.begin(
            "collate",
            dataset,
            self._work(dataset, wanted, rows),
            quick=False,
            may=lambda c: self.still(c, ids),
        )
        self.answer(describe_operation(row, self.services.operations))

    def _work(
        self, dataset: str, wanted: CollateRequest, rows: Sequence[RowMapping]
    ) -> CurationWork:
        owner, storage = self.dataset_row["tenant_id"], self.services.storage
        before = self.dataset_row["draft_bytes"] or 0

        def run(run: Run) -> Outcome:
            pairs = zip(rows, wanted.sources, strict=True)
            sources = [Source(new_id("cs"), self.origin(row), source) for row, source in pairs]
            run.hold()
            return run.step(collate, sources)

        def check(outcome: Outcome) -> None:
            storage.reserve_now(owner, max(outcome.bytes - before, 0)).release()

        ids = [row["id"] for row in rows]

        def inherit(connection: Connection) -> None:
            # Not as they were when it began.
            self._inherit(connection, dataset, self.still(connection, ids))

        names = ", ".join(ids)
        return self.work(dataset, "dataset.collate", run, check, also=inherit, sources=names)

    def _inherit(self, connection: Connection, dataset: str, sources: Sequence[RowMapping]) -> None:
        """Let the dataset be, and stay, as sensitive as its sources."""
        origins = [row["id"] if is_id(row["id"], "ds") else row["dataset_id"] for row in sources]
        lineage.insert_dataset_sources(connection, dataset, origins, now())
        needed = max((row["sensitivity"] for row in sources), key=SENSITIVITIES.index)
        for heir in lineage.raise_sensitivity(connection, dataset, needed):
            self.audit(connection, "dataset.inherit", heir, sensitivity=needed)


class SourcesHandler(DraftHandler):
    """What was collated into a draft."""

    async def get(self, dataset: str) -> None:
        """List the sources, in the order in which they came."""
        after, limit = self.page()
        await self.authorise(dataset, Right.VIEW)
        sources = await self.services.drafts.read(dataset, Draft.sources)
        if after is not None:
            sources = [source for source in sources if source.id > after]
        sources = sources[: limit + 1]
        ids = {source.source for source in sources}
        seen = await self.services.db.read(lambda c: viewable(c, self.identity, ids))
        editors = {source.editor for source in sources}
        rows = await self.services.db.read(lambda c: tenants.get_many(c, list(editors)))
        names = {row["id"]: f"@{row['slug']}" for row in rows}
        self.answer_page([_describe(s, names, s.source in seen) for s in sources], limit)


class SourceHandler(DraftHandler):
    """One source of a draft."""

    async def delete(self, dataset: str, source: str) -> None:
        """Remove its records, also from the log of edits."""
        self.check_query()
        await self.authorise(dataset, Right.EDIT)
        count = await self.services.drafts.write(dataset, lambda d: d.remove_source(source))
        await self.touch(dataset)
        await self.services.db.write(
            lambda c: self.audit(c, "source.remove", dataset, records=count)
        )
        self.answer_nothing()


def _describe(source: DraftSource, names: dict[str, str], seen: bool) -> SourceInfo:
    return SourceInfo(
        id=source.id,
        at=source.at,
        editor=names.get(source.editor),
        kind=source.kind,
        source=source.source if seen else None,
        name=source.name if seen else None,
        digest=source.digest if seen else None,
        available=source.available,
        taken=source.taken,
        records=source.records,
        recipe=dict(source.recipe) if seen else None,
        dropped=dict(source.dropped),
    )


def _check_filter(source: CollateSource, where: str) -> None:
    """Refuse what says nothing about the records of a version."""
    if source.version is None or source.filter is None:
        return
    asked = source.filter.model_fields_set & set(DRAFT_ONLY)
    if asked := {name for name in asked if getattr(source.filter, name) not in (None, False)}:
        raise InvalidInputError(
            errors=[
                FieldProblem(f"{where}.{name}", "is not known of a version.", "Collate its draft.")
                for name in sorted(asked)
            ]
        )


def _check_sensitivity(rows: Sequence[RowMapping], own: str) -> None:
    for number, row in enumerate(rows):
        if SENSITIVITIES.index(row["sensitivity"]) > SENSITIVITIES.index(own):
            raise InvalidInputError(
                f"This dataset is {own}; a source is {row['sensitivity']}.",
                hint=f"Make this dataset {row['sensitivity']} first.",
                errors=[FieldProblem(f"sources.{number}", "is more sensitive.", "Leave it out.")],
            )


ROUTES = [
    Route(
        "api/datasets/{dataset}/collate",
        CollateHandler,
        {
            "POST": Operation(
                "write",
                "Append records of other drafts and versions, filtered, drawn and translated.",
                request=CollateRequest,
                response=OperationAnswer,
                status=202,
                fresh_identity=True,
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/sources",
        SourcesHandler,
        {
            "GET": Operation(
                "read",
                "What was collated into the draft: sources, how they were drawn, how many records.",
                response=Page[SourceInfo],
                query=PAGE_QUERY,
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/sources/{source}",
        SourceHandler,
        {
            "DELETE": Operation(
                "write",
                "Remove a collated source and its records from the draft.",
                status=204,
                fresh_identity=True,
            )
        },
    ),
]

"""`api/datasets`: datasets and their drafts as a whole."""

from __future__ import annotations

from typing import get_args

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem, NotAllowedError
from adaptery.schemas.common import SENSITIVITIES, Page
from adaptery.schemas.datasets import Dataset, DatasetCreate, DatasetOrder, DatasetPatch
from adaptery_hub.database.statements import datasets as statements
from adaptery_hub.database.statements import lineage
from adaptery_hub.datasets import create_dataset
from adaptery_hub.handlers.base import Handler
from adaptery_hub.permissions import Right
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

#: From the least protected to the most.
ORDERS: tuple[DatasetOrder, ...] = get_args(DatasetOrder)


def describe_dataset(row: RowMapping) -> Dataset:
    """Return a row of `statements.datasets` as the API shows it."""
    return Dataset(
        id=row["id"],
        name=row["name"],
        full_name=f"{row['prefix']}/{row['name']}",
        tenant=row["prefix"],
        sensitivity=row["sensitivity"],
        description=row["description"],
        records=row["records"],
        right=Right(row["right"]).word,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
    )


class DatasetsHandler(Handler):
    """All datasets of the caller."""

    async def get(self) -> None:
        """List what the caller may view."""
        after, limit = self.page()
        order = self.one_of("order", ORDERS) or "created"
        wanted = statements.DatasetQuery(self.query("search"), order)
        rows = await self.services.db.read(
            lambda c: statements.list_page(c, self.identity, wanted, after, limit + 1)
        )
        self.answer_page([describe_dataset(row) for row in rows], limit)

    async def post(self) -> None:
        """Create a dataset with an empty draft."""
        wanted = self.body(DatasetCreate)
        row = await create_dataset(self.services, self.identity, wanted, self._note)
        self.answer(describe_dataset(row))

    def _note(self, connection: Connection, dataset_id: str, name: str) -> None:
        self.audit(connection, "dataset.create", dataset_id, name=name)


class DatasetHandler(Handler):
    """One dataset."""

    async def get(self, dataset: str) -> None:
        """Answer the dataset."""
        self.check_query()
        row = await self.services.db.read(
            lambda c: statements.get(c, self.identity, dataset, Right.VIEW)
        )
        self.answer(describe_dataset(row))

    async def patch(self, dataset: str) -> None:
        """Change description or sensitivity."""
        changes = self.body(DatasetPatch).model_dump(exclude_none=True)
        changed = {dataset}

        def change(connection: Connection) -> RowMapping:
            row = statements.get(connection, self.identity, dataset, Right.EDIT)
            _check_sensitivity(row, changes.get("sensitivity"))
            _check_inherited(connection, dataset, changes.get("sensitivity"))
            statements.change(connection, dataset, changes)
            self.audit(connection, "dataset.change", dataset, fields=", ".join(sorted(changes)))
            if "sensitivity" in changes:
                for heir in lineage.raise_sensitivity(connection, dataset, changes["sensitivity"]):
                    changed.add(heir)
                    self.audit(
                        connection, "dataset.inherit", heir, sensitivity=changes["sensitivity"]
                    )
            return statements.get(connection, self.identity, dataset, Right.VIEW)

        row = await self.services.db.write(change)
        for each in changed:
            await self.services.uploads.seal(each)
        self.answer(describe_dataset(row))

    async def delete(self, dataset: str) -> None:
        """Delete a dataset that was never published, with its draft."""
        await delete_dataset(self, dataset)
        self.answer_nothing()


async def delete_dataset(handler: Handler, dataset: str) -> None:
    """Delete a dataset that was never published, with its draft.

    Raises:
        NotFoundError: there is none, or the caller may not know it.
        NotAllowedError: the caller has a lesser right.
        ConflictError: it has a version.
    """
    services = handler.services

    def remove(connection: Connection) -> None:
        row = statements.get(connection, handler.identity, dataset, Right.MANAGE)
        statements.remove_draft(connection, dataset)
        name = f"{row['prefix']}/{row['name']}"
        handler.audit(connection, "dataset.delete", dataset, name=name, records=row["records"])

    await services.db.write(remove)
    await services.imports.cancel(dataset)
    await services.uploads.remove(dataset)
    await services.drafts.remove(dataset)


def _check_sensitivity(row: RowMapping, wanted: str | None) -> None:
    """Let only who manages a dataset take protection from it; who edits it may add some."""
    if wanted is None or row["right"] >= Right.MANAGE:
        return
    if SENSITIVITIES.index(wanted) < SENSITIVITIES.index(row["sensitivity"]):
        raise NotAllowedError(
            "To lower the sensitivity needs the right to manage.",
            hint="Ask whoever manages this dataset.",
            errors=[FieldProblem("sensitivity", "is lower than it was.", "Leave it as it was.")],
        )


def _check_inherited(connection: Connection, dataset: str, wanted: str | None) -> None:
    """Refuse less protection than what was merged or collated into the dataset has."""
    if wanted is None:
        return
    least = lineage.least_sensitivity(connection, dataset)
    if SENSITIVITIES.index(wanted) < SENSITIVITIES.index(least):
        raise ConflictError(
            f"This dataset holds what was merged or collated from {least} ones.",
            hint="It stays as sensitive as what it came from, also when that was removed again.",
            errors=[FieldProblem("sensitivity", f"is below {least}.", "Leave it as it was.")],
        )


ROUTES = [
    Route(
        "api/datasets",
        DatasetsHandler,
        {
            "GET": Operation(
                "read",
                "Datasets that I may view.",
                response=Page[Dataset],
                query={
                    **PAGE_QUERY,
                    "search": "Only datasets whose full name (`@demo/visits`) holds this, in "
                    "whatever case.",
                    "order": "`created`, `-changed` (the one that was changed last comes first) or "
                    "`name`.",
                },
            ),
            "POST": Operation(
                "write",
                "Create a dataset.",
                request=DatasetCreate,
                response=Dataset,
                status=201,
            ),
        },
    ),
    Route(
        "api/datasets/{dataset}",
        DatasetHandler,
        {
            "GET": Operation("read", "One dataset.", response=Dataset),
            "PATCH": Operation(
                "write", "Change a dataset.", request=DatasetPatch, response=Dataset
            ),
            "DELETE": Operation(
                "write",
                "Delete a dataset that has no version.",
                status=204,
                fresh_identity=True,
            ),
        },
    ),
]

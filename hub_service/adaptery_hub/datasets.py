"""Making a dataset, for whoever wants one: a user by the API, a job whose versions are merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery.names import check_name
from adaptery.schemas.datasets import DatasetCreate
from adaptery_hub.database.statements import datasets as statements
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right
from adaptery_hub.tenants import owner_for

if TYPE_CHECKING:
    from adaptery_hub.services import Services

#: Writes down that a dataset was made, by its id and whole name.
Note = Callable[[Connection, str, str], None]


async def create_dataset(
    services: Services, identity: Identity, wanted: DatasetCreate, note: Note
) -> RowMapping:
    """Make a dataset with an empty draft; return its row of `statements.datasets`.

    Raises:
        InvalidInputError: its name is none that a dataset can have.
        NotFoundError: the caller does not act for the owner that was named.
        ConflictError: its owner has a dataset of this name.
        QuotaError: its owner has as many as there may be.
    """
    check_name(wanted.name)
    dataset_id = new_id("ds")

    def insert(connection: Connection, size: int) -> RowMapping:
        owner = owner_for(connection, identity, wanted.tenant)
        statements.insert(
            connection,
            dataset_id=dataset_id,
            tenant_id=owner.id,
            creator_id=identity.tenant_id,
            name=wanted.name,
            sensitivity=wanted.sensitivity,
            description=wanted.description,
            draft_bytes=size,
            limit=services.settings.max_datasets_per_tenant,
        )
        note(connection, dataset_id, f"{owner.prefix}/{wanted.name}")
        return statements.get(connection, identity, dataset_id, Right.VIEW)

    # The draft first: a row without a draft would be a dataset that nobody can use or delete.
    await services.drafts.create(dataset_id)
    try:
        size = await services.drafts.size(dataset_id)
        return await services.db.write(lambda c: insert(c, size))
    except BaseException:
        await services.drafts.remove(dataset_id)
        raise

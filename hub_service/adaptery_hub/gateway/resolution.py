"""From an OpenAI `model` to the weights that answer, if the caller may use them.

The order is that of the house: "" (default base), `auto`, a registered base model, a job id, a mix,
a name.

Invariants:
- A name that nobody has, a name of someone else and a malformed one end in the same error, raised
  in one place, after the same single query: existence is private.
- What this release does not serve (`auto`, mixes, checkpoints) is refused by its form alone, before
  anything is looked up, so that the refusal says nothing about what exists.
- The answer always names the pinned version.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import InvalidInputError, NotFoundError, NotOfferedError
from adaptery.names import (
    BaseRef,
    DefaultRef,
    JobRef,
    ModelRef,
    NamedRef,
    check_offered,
    parse_model,
)
from adaptery_hub.base_models import BaseModels
from adaptery_hub.database import Database
from adaptery_hub.database.statements import adapters
from adaptery_hub.full_names import full_name
from adaptery_hub.identity import Identity

RESTRICTED = "restricted"


@dataclass(frozen=True)
class AdapterTarget:
    """The adapter that answers."""

    id: str
    weight_digest: str
    content_digests: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What answers a request: a base model, with or without an adapter."""

    model: str  # the pinned name that the answer carries
    base_model: str
    base_weight_digest: str | None  # None while no agent has reported the base model
    adapter: AdapterTarget | None = None


class Resolver:
    """Finds what a model name means for a caller."""

    def __init__(self, database: Database, base_models: BaseModels) -> None:
        self._database = database
        self._base_models = base_models

    async def resolve(self, identity: Identity, model: str) -> Target:
        """Returns what answers as `model` for this caller.

        Raises:
            NotFoundError: There is no such model, or the caller may not use it.
            NotOfferedError: This release does not serve this form of a name, or the adapter is
                restricted.
        """
        ref = self._read(model)
        name = self._base_name(ref)
        if name is not None:
            return Target(name, name, self._base_models.digest(name))
        row = await self._database.read(lambda c: _find(c, identity, ref))
        if row is None:
            raise NotFoundError(
                "There is no such model, or you may not use it.",
                hint="GET v1/models lists the models that you may use",
            )
        if row["sensitivity"] == RESTRICTED:
            raise NotOfferedError(
                "This adapter is restricted: it may answer only over the sealed channel, "
                "which is not offered yet.",
                hint="train on a dataset that is internal or open",
            )
        return adapter_target(row)

    def _read(self, model: str) -> ModelRef | None:
        try:
            ref = parse_model(model, self._base_models.names)
        except InvalidInputError:
            return None
        return check_offered(ref)

    def _base_name(self, ref: ModelRef | None) -> str | None:
        if isinstance(ref, BaseRef):
            return ref.base_model
        if isinstance(ref, DefaultRef) and self._base_models.default:
            return self._base_models.default
        return None


def adapter_target(row: RowMapping) -> Target:
    """Returns an adapter's row (with its owner's slug) as a target."""
    return Target(
        model=full_name(row["tenant_kind"], row["slug"], row["name"], row["number"]),
        base_model=row["base_model"],
        base_weight_digest=row["base_weight_digest"],
        adapter=AdapterTarget(row["id"], row["weight_digest"], tuple(row["content_digests"])),
    )


def _find(connection: Connection, identity: Identity, ref: ModelRef | None) -> RowMapping | None:
    if isinstance(ref, JobRef):
        return adapters.find_usable(connection, identity, job_id=ref.job)
    if isinstance(ref, NamedRef):
        name = ref.name
        return adapters.find_named(
            connection,
            identity,
            name=name.name,
            slug=name.tenant,
            group=not name.personal,
            number=name.version,
        )
    # Nothing has the empty id; the query runs all the same, so that this path takes as long.
    return adapters.find_usable(connection, identity, adapter_id="")

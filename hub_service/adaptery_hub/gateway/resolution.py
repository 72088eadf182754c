"""From an OpenAI `model` to the weights that answer, if the caller may use them.

The order is that of the house: "" (default base), `auto`, a registered base model, a job id, a mix,
a name.

Invariants:
- A name that nobody has, a name of someone else and a malformed one end in the same error, raised
  in one place, after the same single query: existence is private.
- What this release does not serve (`auto`, mixes) is refused by its form alone, before anything is
  looked up, so that the refusal says nothing about what exists.
- A checkpoint counts as the adapter of its job, for rights, limits and usage, once that is there.
- The answer always names the pinned version.
- A reward adapter is refused, with the reason, only to who may use it.
- A restricted adapter is refused on the open channel only to who may use it.
- An address (`a/<tenant>/<name>/v1`) or an own key that is bound to one adapter answers with that
  one or not at all: `model` may be empty, its base model or any name of it.
- An own key reaches no base model.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from adaptery.errors import (
    FieldProblem,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    SealedChannelRequiredError,
)
from adaptery.ids import is_id
from adaptery.names import (
    BaseRef,
    CheckpointRef,
    DefaultRef,
    JobRef,
    ModelRef,
    NamedRef,
    check_offered,
    parse_model,
    parse_name,
)
from adaptery_hub.base_models import BaseModels
from adaptery_hub.database import Database
from adaptery_hub.database.prepared import Row
from adaptery_hub.database.statements import adapters, checkpoints
from adaptery_hub.identity import Identity
from adaptery_hub.weights import find_weights, pinned_name

RESTRICTED = "restricted"
REWARD = "reward"


@dataclass(frozen=True)
class AdapterTarget:
    """The adapter that answers, or a checkpoint of the job that makes it."""

    id: str  # of the adapter; of the job while it has none
    weight_digest: str
    content_digests: tuple[str, ...]
    job_id: str | None = None  # that made it
    sensitivity: str = "internal"
    owner_id: str | None = None  # tenant
    limits: Mapping[str, int] | None = None  # of its manager
    checkpoint_id: str | None = None

    @property
    def weights_id(self) -> str:
        """What agents know the weights by, and fetch them under."""
        return self.checkpoint_id or self.id


@dataclass(frozen=True)
class Target:
    """What answers a request: a base model, with or without an adapter."""

    model: str  # the pinned name that the answer carries
    base_model: str
    base_weight_digest: str | None  # None while no agent has reported the base model
    adapter: AdapterTarget | None = None

    @property
    def digests(self) -> tuple[str, ...]:
        """What the audit names: the weights that answer, then the content that they learnt from."""
        if self.adapter is not None:
            return (self.adapter.weight_digest, *self.adapter.content_digests)
        return () if self.base_weight_digest is None else (self.base_weight_digest,)


class Resolver:
    """Finds what a model name means for a caller."""

    def __init__(
        self, database: Database, base_models: BaseModels, embedding_models: Collection[str] = ()
    ) -> None:
        """Makes a resolver; `embedding_models` are names that it can say something better of."""
        self._database = database
        self._base_models = base_models
        self._embedding_models = embedding_models

    async def resolve(
        self, identity: Identity, model: str, bound: str | None = None, *, sealed: bool = False
    ) -> Target:
        """Returns what answers as `model` for this caller.

        Args:
            identity: The caller.
            model: What the request says.
            bound: The name of the adapter that the address is bound to, if it is to one.
            sealed: Whether the service will not read what is asked.

        Raises:
            NotFoundError: There is no such model, or the caller may not use it.
            NotOfferedError: This release does not serve this form of a name.
            InvalidInputError: The model is an embedding model, or an adapter that scores answers.
            SealedChannelRequiredError: The adapter is restricted, and the channel is open.
        """
        if bound is not None or (identity.key is not None and len(identity.key.adapters) == 1):
            found = await self._database.look_up(
                lambda c: _found(self._find_bound(c, identity, model, bound)),
                _question(identity, bound, model),
            )
        else:
            if model in self._embedding_models:
                raise _makes_vectors()
            ref = self._read(model)
            # An own key reaches adapters only.
            name = self._base_name(ref) if identity.key is None else None
            if name is not None:
                return Target(name, name, self._base_models.digest(name))
            found = await self._database.look_up(
                lambda c: _found(find_weights(c, identity, ref)), _question(identity, None, model)
            )
        target = _answering(found)
        assert target.adapter is not None
        if target.adapter.sensitivity == RESTRICTED and not sealed:
            raise SealedChannelRequiredError(
                hint="ask it in JupyterLab or with adaptery.connect(), which seal by themselves, "
                "or give OpenAI's client http_client=adaptery.SealingClient()"
            )
        return target

    async def weights(self, identity: Identity, weights_id: str) -> Target:
        """Returns the adapter or checkpoint with this id, if the caller may use it.

        Raises:
            NotFoundError: There is none that the caller may use.
            InvalidInputError: It scores answers and writes none.
        """
        row = await self._database.read(
            lambda c: (
                checkpoints.find_served(c, identity, weights_id)
                if is_id(weights_id, "ck")
                else adapters.find_usable(c, identity, adapter_id=weights_id)
            )
        )
        return _answering(_found(row))

    async def find_pinned(self, identity: Identity, model: str) -> Row:
        """Returns the row of the adapter that `model` means, whenever it is asked.

        Args:
            identity: The caller.
            model: An adapter's name with its version, or its job.

        Raises:
            InvalidInputError: The name has no version: another adapter may be the newest soon. Or
                it is a checkpoint, which goes by itself.
            NotAllowedError: It is a base model, which everyone sees.
            NotFoundError: There is no such adapter, or the caller may not use it.
            NotOfferedError: This release does not serve this form of a name.
        """
        ref = self._read(model)
        if self._base_name(ref) is not None:
            raise NotAllowedError(
                "This is a base model, which is there for everyone.",
                hint="only adapters that you manage can be deleted",
            )
        if isinstance(ref, NamedRef) and ref.name.version is None:
            problem = FieldProblem("model", "does not say which version.", "Add it, as in soap@2.")
            raise InvalidInputError(errors=[problem])
        if isinstance(ref, CheckpointRef) or (isinstance(ref, JobRef) and ref.checkpoint_step):
            problem = FieldProblem(
                "model", "is a checkpoint.", "It goes by itself, or with its job."
            )
            raise InvalidInputError(errors=[problem])
        row = await self._database.read(lambda c: find_weights(c, identity, ref))
        if row is None:
            raise _no_such_model()
        return row

    def _find_bound(
        self, connection: Connection, identity: Identity, model: str, bound: str | None
    ) -> Row | None:
        """Finds the adapter of the address, or else the key's only one, if `model` can mean it."""
        key = identity.key
        if bound is not None:
            row = find_weights(connection, identity, _path_ref(bound))
        else:
            assert key is not None
            row = adapters.find_usable(connection, identity, adapter_id=key.adapters[0])
        if row is None or model in ("", row["base_model"]):
            return row
        try:
            ref = parse_model(model, self._base_models.names)
        except InvalidInputError:
            return None
        meant = find_weights(connection, identity, ref)
        return row if meant is not None and meant["id"] == row["id"] else None

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


def adapter_target(row: Row) -> Target:
    """Returns the row of an adapter or checkpoint (see `weights.find_weights`) as a target."""
    is_checkpoint = row.get("step") is not None
    return Target(
        model=pinned_name(row),
        base_model=row["base_model"],
        base_weight_digest=row["base_weight_digest"],
        adapter=AdapterTarget(
            (row["adapter_id"] or row["job_id"]) if is_checkpoint else row["id"],
            row["weight_digest"],
            tuple(row["content_digests"]),
            row["job_id"],
            row["sensitivity"],
            row["tenant_id"],
            row["limits"],
            row["id"] if is_checkpoint else None,
        ),
    )


def find_adapter(connection: Connection, identity: Identity, name: str) -> Row | None:
    """Returns the adapter with this name that the caller may use; the newest without a version."""
    return find_weights(connection, identity, _path_ref(name))


def _question(identity: Identity, bound: str | None, model: str) -> Hashable:
    """Names what is asked of the database; nothing for an own key, whose end the clock decides."""
    if identity.key is not None:
        return None
    return "adapter", identity.principals, bound, model


@dataclass(frozen=True)
class _Found:
    """An adapter that the caller may use, for whatever."""

    kind: str
    target: Target


def _found(row: Row | None) -> _Found | None:
    return None if row is None else _Found(row["kind"], adapter_target(row))


def _answering(found: _Found | None) -> Target:
    """Returns what was found as what answers.

    Raises:
        NotFoundError: Nothing was found.
        InvalidInputError: The adapter scores answers and writes none.
    """
    if found is None:
        raise _no_such_model()
    if found.kind == REWARD:
        problem = FieldProblem(
            "model",
            "is a reward adapter: it scores answers and writes none.",
            "Let it judge in a job of stage grpo, and ask the adapter that comes of it.",
        )
        raise InvalidInputError(errors=[problem])
    return found.target


def _makes_vectors() -> InvalidInputError:
    return InvalidInputError(
        errors=[FieldProblem("model", "is an embedding model.", "ask it at v1/embeddings")]
    )


def _no_such_model() -> NotFoundError:
    return NotFoundError(
        "There is no such model, or you may not use it.",
        hint="GET v1/models lists the models that you may use",
    )


def _path_ref(text: str) -> ModelRef | None:
    """Reads the name of an adapter from an address; None if it is none."""
    try:
        name = parse_name(text)
    except InvalidInputError:
        return None
    return NamedRef(name) if name.checkpoint_step is None else None

"""`v1/models`: what the caller may put into `model`, in OpenAI's shape."""

from __future__ import annotations

from datetime import datetime

from adaptery_hub.database.statements import adapters as statements
from adaptery_hub.embedding_models import EmbeddingModels
from adaptery_hub.gateway import Target, adapter_target
from adaptery_hub.gateway.resolution import RESTRICTED
from adaptery_hub.handlers.adapters import check_right, delete_adapter
from adaptery_hub.handlers.base import OpenAIHandler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right
from adaptery_hub.routes import Operation, Route

_OWNED_BY_SERVICE = "adaptery"


class ModelsHandler(OpenAIHandler):
    """All models of the caller."""

    async def get(self) -> None:
        """List base and embedding models, then adapters I may use; to a key, its adapters."""
        compute = compute_of(self)
        rows = await self.services.db.read(
            lambda c: statements.list_usable(c, self.identity, kind="chat")
        )
        cards = await compute.base_models.cards() if self.identity.key is None else []
        models = [
            describe_model(Target(card.name, card.name, card.weight_digest), card.created_at)
            for card in cards
        ]
        if may_embed(self.identity):
            models += await describe_embedding_models(compute.embeddings.models)
        models += [describe_model(adapter_target(row), row["created_at"]) for row in rows]
        self.answer_json({"object": "list", "data": models})


class _ModelHandler(OpenAIHandler):
    async def describe(self, name: str, bound: str | None) -> dict[str, object]:
        """Return OpenAI's model object of what answers as `name`.

        Raises:
            NotFoundError: There is no such model, or the caller may not use it.
        """
        compute = compute_of(self)
        target = await compute.gateway.resolver.resolve(self.identity, name, bound, sealed=True)
        created_at = compute.base_models.created_at()
        adapter = target.adapter
        if adapter is not None:
            row = await self.services.db.read(lambda c: statements.get(c, adapter.id))
            created_at = row["created_at"] if row is not None else created_at
        return describe_model(target, created_at)


class ModelHandler(_ModelHandler):
    """One model."""

    async def get(self, name: str, tenant: str = "", adapter: str = "") -> None:
        """Answer the model that a name means to the caller."""
        embedding_models = compute_of(self).embeddings.models
        if name in embedding_models.names and not tenant and may_embed(self.identity):
            described = await describe_embedding_models(embedding_models)
            self.answer_json(next(model for model in described if model["id"] == name))
            return
        self.answer_json(await self.describe(name, f"{tenant}/{adapter}" if tenant else None))


class OwnModelHandler(ModelHandler):
    """One model, at the address where it can be deleted."""

    async def delete(self, name: str) -> None:
        """Delete the adapter that a name with its version means to the caller."""
        row = await compute_of(self).gateway.resolver.find_pinned(self.identity, name)
        check_right(row, Right.MANAGE)
        await delete_adapter(self, row)
        model = adapter_target(row).model
        self.answer_json({"id": model, "object": "model", "deleted": True})


class BoundModelsHandler(_ModelHandler):
    """The one model of an address that is bound to an adapter."""

    async def get(self, tenant: str, adapter: str) -> None:
        """List that adapter."""
        model = await self.describe("", f"{tenant}/{adapter}")
        self.answer_json({"object": "list", "data": [model]})


def describe_model(target: Target, created_at: datetime) -> dict[str, object]:
    """Returns OpenAI's model object, with vLLM's `root`, `parent` and what is ours.

    Ours are `base_model`, `kind`, `sensitivity` (of an adapter) and `channel`: a client must look
    at it before it sends a prompt, for what is `sealed` must not be sent in the open.
    """
    owner, slash, _ = target.model.rpartition("/")
    sensitivity = target.adapter.sensitivity if target.adapter is not None else None
    return {
        "id": target.model,
        "object": "model",
        "created": int(created_at.timestamp()),
        "owned_by": owner if slash and target.adapter is not None else _OWNED_BY_SERVICE,
        "root": target.base_model,
        "parent": target.base_model if target.adapter is not None else None,
        "base_model": target.base_model,
        "kind": "adapter" if target.adapter is not None else "base",
        "sensitivity": sensitivity,
        "channel": "sealed" if sensitivity == RESTRICTED else "open",
    }


def may_embed(identity: Identity) -> bool:
    """Whether the caller reaches embedding models: everyone does, but a key that is not for it."""
    return identity.key is None or "embed" in identity.scopes


async def describe_embedding_models(models: EmbeddingModels) -> list[dict[str, object]]:
    """Returns OpenAI's model objects of the embedding models, with what their vectors are."""
    described: list[dict[str, object]] = []
    for card in await models.cards():
        report = models.report(card.name)
        described.append(
            {
                "id": card.name,
                "object": "model",
                "created": int(card.created_at.timestamp()),
                "owned_by": _OWNED_BY_SERVICE,
                "root": card.name,
                "parent": None,
                "base_model": None,
                "kind": "embedding",
                "sensitivity": None,
                "channel": "open",
                # Unknown until an agent that has it is heard.
                "dimensions": report.dimensions if report else None,
                "max_tokens": report.max_tokens if report else None,
            }
        )
    return described


ROUTES = [
    Route(
        "v1/models",
        ModelsHandler,
        {
            "GET": Operation(
                "read|infer", "The models that I may use, as OpenAI lists them.", keys=True
            )
        },
    ),
    Route(
        "v1/models/{name:path}",
        OwnModelHandler,
        {
            "GET": Operation("read|infer", "One model that I may use.", keys=True),
            "DELETE": Operation(
                "write",
                "Delete an adapter that I manage, by its name with the version; as "
                "`DELETE api/adapters/{adapter}` does.",
                fresh_identity=True,
            ),
        },
    ),
    Route(
        "a/{tenant}/{adapter}/v1/models",
        BoundModelsHandler,
        {"GET": Operation("read|infer", "The adapter that this address is bound to.", keys=True)},
    ),
    Route(
        "a/{tenant}/{adapter}/v1/models/{name:path}",
        ModelHandler,
        {"GET": Operation("read|infer", "The same, by any name that it has here.", keys=True)},
    ),
]

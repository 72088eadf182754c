"""`api/base-models`: the registered base models."""

from __future__ import annotations

from adaptery.schemas.adapters import BaseModelCard
from adaptery.schemas.common import Page
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


class BaseModelsHandler(Handler):
    """All base models."""

    async def get(self) -> None:
        """List the base models."""
        after, limit = self.page()
        cards = await compute_of(self).base_models.cards()
        ids = [card.id for card in cards]
        start = ids.index(after) + 1 if after in ids else 0
        self.answer_page(cards[start : start + limit + 1], limit)


ROUTES = [
    Route(
        "api/base-models",
        BaseModelsHandler,
        {
            "GET": Operation(
                "read", "The base models.", response=Page[BaseModelCard], query=PAGE_QUERY
            )
        },
    )
]

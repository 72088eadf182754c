"""`api/openapi.json`: the description of this API, made from the table that serves it."""

from __future__ import annotations

from functools import cache

from adaptery_hub.handlers.base import Handler
from adaptery_hub.openapi import describe_routes
from adaptery_hub.routes import Operation, Route, all_routes


class OpenAPIHandler(Handler):
    """The description of the API."""

    async def get(self) -> None:
        """Answer it."""
        self.answer_json(_document())


@cache
def _document() -> dict[str, object]:
    return describe_routes(all_routes())


ROUTES = [
    Route(
        "api/openapi.json",
        OpenAPIHandler,
        {"GET": Operation("any", "This description, as OpenAPI 3.1.")},
    )
]

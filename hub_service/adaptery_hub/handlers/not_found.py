"""Answers every path that no route knows, in the shape of the API that it looks like."""

from __future__ import annotations

from adaptery.errors import NotFoundError
from adaptery_hub.handlers.base import Handler, OpenAIHandler


class NotFoundHandler(Handler):
    """Answers paths of no API."""

    async def admit(self) -> None:
        """Refuse.

        Raises:
            NotFoundError: always.
        """
        raise NotFoundError("There is no such route.", hint="See api/openapi.json.")


class OpenAINotFoundHandler(OpenAIHandler):
    """Answers unknown paths under `v1/` and `a/`."""

    async def admit(self) -> None:
        """Refuse.

        Raises:
            NotFoundError: always.
        """
        raise NotFoundError(
            "This part of OpenAI's API is not offered here.",
            hint="v1/chat/completions answers what newer clients ask of v1/responses; there are "
            "also v1/completions, v1/embeddings and v1/models",
        )

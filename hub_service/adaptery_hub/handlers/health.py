"""`health`: alive or not, nothing else, for anyone."""

from __future__ import annotations

from adaptery.schemas.common import Answer
from adaptery_hub.handlers.base import Handler
from adaptery_hub.routes import Operation, Route


class Health(Answer):
    """The service answers."""

    status: str = "ok"


class HealthHandler(Handler):
    """Whether the service is alive."""

    async def get(self) -> None:
        """Answer that it is."""
        self.answer(Health())


ROUTES = [
    Route(
        "health",
        HealthHandler,
        {"GET": Operation("open", "Whether the service is alive.", response=Health)},
    )
]

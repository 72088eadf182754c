"""`metrics`: counts and durations for Prometheus, for admins and for the scrape token."""

from __future__ import annotations

import hmac

from adaptery_hub.handlers.base import Handler
from adaptery_hub.metrics import METRICS_MEDIA
from adaptery_hub.routes import Operation, Route


class MetricsHandler(Handler):
    """All metrics."""

    async def authenticate(self) -> None:
        """Let the scrape token in, or else whoever has the scope admin."""
        token = self.services.settings.scrape_token
        given = self.request.headers.get("Authorization", "")
        if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return
        await super().authenticate()

    async def get(self) -> None:
        """Answer the metrics."""
        self.set_header("Content-Type", METRICS_MEDIA)
        self.finish(self.services.metrics.render())


ROUTES = [
    Route(
        "metrics",
        MetricsHandler,
        {
            "GET": Operation(
                "admin|scrape", "Metrics in Prometheus' text format.", media="text/plain"
            )
        },
    )
]

"""`api/whoami`: who the service takes the caller for."""

from __future__ import annotations

import os

from adaptery.schemas.agents import Whoami
from adaptery_hub.handlers.base import Handler
from adaptery_hub.routes import Operation, Route


class WhoamiHandler(Handler):
    """The caller's own identity."""

    async def get(self) -> None:
        """Answer the identity."""
        self.check_query()
        identity = self.identity
        self.answer(
            Whoami(
                id=identity.tenant_id,
                name=identity.hub_name,
                tenant=f"@{identity.slug}",
                groups=identity.group_slugs,
                scopes=tuple(sorted(identity.scopes)),
                token_kind=identity.token_kind,
                # An administrator may say it; the service itself knows its path only.
                url=os.environ.get("JUPYTERHUB_PUBLIC_URL") or self.services.settings.prefix,
            )
        )


ROUTES = [
    Route(
        "api/whoami",
        WhoamiHandler,
        {"GET": Operation("read", "Who I am and what my token may do.", response=Whoami)},
    )
]

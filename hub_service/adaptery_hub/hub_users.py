"""What the Hub says about users and groups, asked with the service's own token.

Invariants:

- No answer is no answer: a Hub that does not say never stands for a user or group that is gone.
- No Hub error text leaves this module.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
from jupyterhub.services.auth import HubOAuth

from adaptery.errors import UnavailableError
from adaptery.times import from_text

#: How many users are remembered before all are asked about anew.
REMEMBERED_USERS = 10_000
#: How long the Hub may take to say who is in which group.
HUB_TIMEOUT_SECONDS = 5.0
#: When users were created of whom the Hub says that it does not know: from before it kept that. No
#: user whom it creates now gets this.
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
#: What the service needs to see who is gone.
LOOKING_SCOPES = frozenset({"read:users", "read:groups"})


@dataclass(frozen=True)
class HubUser:
    """What the Hub says about a user whose own token did not come with the request."""

    name: str
    groups: tuple[str, ...]
    created_at: datetime | None  # None: it does not tell this service


class HubUsers:
    """Asks JupyterHub about users and groups, and believes what it says of users for a while."""

    def __init__(self, hub_auth: HubOAuth) -> None:
        self._hub_auth = hub_auth
        self._tls = httpx.create_ssl_context()  # once: to read all certificates takes a while
        self._known: dict[str, tuple[float, HubUser | None]] = {}

    async def get(self, hub_name: str) -> HubUser | None:
        """Return the user; None if the Hub has none of that name.

        Raises:
            UnavailableError: the Hub did not answer.
        """
        asked_at, user = self._known.get(hub_name, (0.0, None))
        if time.monotonic() - asked_at < self._hub_auth.cache_max_age and hub_name in self._known:
            return user
        user = await self.ask(hub_name)
        if len(self._known) >= REMEMBERED_USERS:
            self._known.clear()
        self._known[hub_name] = (time.monotonic(), user)
        return user

    async def ask(self, hub_name: str) -> HubUser | None:
        """Return the user as the Hub says now; None if it has none of that name.

        Raises:
            UnavailableError: the Hub did not answer.
        """
        answer = await self._get(f"users/{quote(hub_name, safe='')}")
        if answer is None:
            return None
        try:
            created_at = _created_at(answer)
            groups = tuple(sorted(answer.get("groups") or ()))  # pyright: ignore[reportArgumentType]
        except (ValueError, TypeError) as error:
            raise _no_answer() from error
        return HubUser(hub_name, groups, created_at)

    async def has_group(self, hub_name: str) -> bool:
        """Return whether the Hub has a group of that name now.

        Raises:
            UnavailableError: the Hub did not answer.
        """
        return await self._get(f"groups/{quote(hub_name, safe='')}") is not None

    async def may_look(self) -> bool:
        """Return whether the Hub lets this service see all users and groups.

        Raises:
            UnavailableError: the Hub did not answer.
        """
        scopes = (await self._get("user") or {}).get("scopes")
        return isinstance(scopes, list) and LOOKING_SCOPES.issubset(map(str, scopes))

    async def _get(self, path: str) -> dict[str, object] | None:
        headers = {"Authorization": f"token {self._hub_auth.api_token}"}
        try:
            async with httpx.AsyncClient(timeout=HUB_TIMEOUT_SECONDS, verify=self._tls) as client:
                answer = await client.get(f"{self._hub_auth.api_url}/{path}", headers=headers)
            if answer.status_code == 404:
                return None
            model = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise _no_answer() from error
        if not isinstance(model, dict):
            raise _no_answer()
        return model


def _created_at(answer: Mapping[str, object]) -> datetime | None:
    if "created" not in answer:
        return None
    return UNDATED if answer["created"] is None else from_text(str(answer["created"]))


def _no_answer() -> UnavailableError:
    return UnavailableError(
        "JupyterHub did not answer about a user or group.", hint="Try again in a moment."
    )

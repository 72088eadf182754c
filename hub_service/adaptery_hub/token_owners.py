"""When the owner of a token was created at the Hub: what tells two users of one name apart.

The Hub's answer about a token names its owner, but does not say when they were created; its answer
about a user does. A user can be deleted and another created under the name between the two, so the
second is believed only if the token is found valid once more after it.

Invariants:

- A token goes with its user and is never another's. So what was found out about one is true for
  good, and the Hub is asked once for each token, not for each request.
- What is remembered is found by the hash of a token, never by the token or by the id that the Hub
  gives it (which a later token may get again).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime

from adaptery.errors import UnavailableError
from adaptery_hub.hub_users import HubUser

#: How many tokens are remembered before all are asked about anew.
REMEMBERED_TOKENS = 20_000


class TokenOwners:
    """Finds out when the owners of tokens were created."""

    def __init__(
        self,
        user_of: Callable[[str], Awaitable[str | None]],
        ask_about: Callable[[str], Awaitable[HubUser | None]],
    ) -> None:
        """Make a finder.

        Args:
            user_of: asks the Hub, not a cache, whose a token is now; None if it is not valid.
            ask_about: asks the Hub, not a cache, about a user.
        """
        self._user_of = user_of
        self._ask_about = ask_about
        self._known: dict[bytes, datetime] = {}

    async def created_at(self, token: str, name: str) -> datetime | None:
        """Return when the owner of a token was created; None if the token is not valid any more.

        Args:
            token: one that the Hub has just found valid.
            name: the owner's name in that answer.

        Raises:
            UnavailableError: the Hub did not answer, or does not tell this service.
        """
        place = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        if place not in self._known:
            found = await self._find(token, name)
            if found is None:
                return None
            if len(self._known) >= REMEMBERED_TOKENS:
                self._known.clear()
            self._known[place] = found
        return self._known[place]

    async def _find(self, token: str, name: str) -> datetime | None:
        user = await self._ask_about(name)
        if await self._user_of(token) != name:
            return None
        if user is None or user.created_at is None:
            raise UnavailableError(
                "JupyterHub does not tell Adaptery when its users were created.",
                hint="An administrator gives the service the scope read:users.",
            )
        return user.created_at

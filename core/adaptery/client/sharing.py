"""Sharing of one thing: who has which right on it besides its owner."""

from __future__ import annotations

from adaptery.client.columns import GRANTS
from adaptery.client.connection import Connection, checked
from adaptery.client.listing import Listing
from adaptery.schemas.common import parse
from adaptery.schemas.grants import Grant, GrantPut, RightWord

__all__ = ["Grant", "RightWord", "Sharing"]


class Sharing:
    """The grants on one thing; `path` is that of the thing."""

    def __init__(self, connection: Connection, path: str) -> None:
        self._connection = connection
        self._path = f"{path}/grants"

    def share(self, principal: str, right: RightWord) -> Grant:
        """Give a user or group a right, or change the one that they were given.

        Raises:
            InvalidInputError: if there is no such right, or the principal cannot be named.
            AdapteryError: what the service raised.
        """
        body = parse(GrantPut, {"principal": principal, "right": right})
        return checked(self._connection.send("PUT", self._path, json=body.model_dump()), Grant)

    def unshare(self, principal: str | Grant) -> None:
        """Take away what a user or group was given.

        Raises:
            NotFoundError: if this is not shared with them.
            AdapteryError: what the service raised.
        """
        name = principal.principal if isinstance(principal, Grant) else principal
        self._connection.send("DELETE", self._path, query={"principal": name})

    def shared_with(self) -> Listing[Grant]:
        """Return who was given which right, oldest grant first.

        Raises:
            AdapteryError: what the service raised.
        """
        found = self._connection.pages(self._path, Grant, lambda grant: grant.id)
        return Listing(found, "grant", GRANTS, 'share("@user", "view") makes one.')

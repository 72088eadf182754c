"""Sharing of one thing: who has which right on it besides its owner."""

from __future__ import annotations

from abc import ABC, abstractmethod

from adaptery.client.columns import GRANTS
from adaptery.client.connection import Connection, checked
from adaptery.client.listing import Listing
from adaptery.schemas.common import parse
from adaptery.schemas.grants import Grant, GrantPut, RightWord

__all__ = ["Grant", "RightWord", "Shared", "Sharing"]


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


class Shared(ABC):
    """A thing whose rights are given out one by one; its class says what each right allows."""

    @property
    @abstractmethod
    def connection(self) -> Connection:
        """The connection that this came over."""

    @abstractmethod
    def _path(self, *more: str) -> str: ...

    @property
    def _sharing(self) -> Sharing:
        return Sharing(self.connection, self._path())

    def share(self, principal: str, right: RightWord) -> Grant:
        """Give a user or group a right, or change the one that they were given.

        Args:
            principal: `@user`, by short or exact Hub name, or a group that you are a member of.
            right: what they may do from now on.

        Raises:
            InvalidInputError: if there is no such right, or the principal cannot be named.
            NotAllowedError: if you do not manage this.
            AdapteryError: what the service raised.
        """
        return self._sharing.share(principal, right)

    def unshare(self, principal: str | Grant) -> None:
        """Take away what a user or group was given; what is running on it ends.

        Raises:
            NotFoundError: if this is not shared with them.
            AdapteryError: what the service raised.
        """
        self._sharing.unshare(principal)

    def shared_with(self) -> Listing[Grant]:
        """Return who was given which right, oldest grant first; the owner has theirs without.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._sharing.shared_with()

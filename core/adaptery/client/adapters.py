"""Adapters of the service."""

from __future__ import annotations

from pathlib import Path

from adaptery.client.columns import ADAPTERS
from adaptery.client.connection import Connection, checked, path_of
from adaptery.client.listing import Listing
from adaptery.client.sharing import Grant, RightWord, Sharing
from adaptery.errors import NotFoundError
from adaptery.ids import is_id
from adaptery.schemas.adapters import Adapter, AdapterChange, AdapterLimits

__all__ = ["Adapters"]


def save_archive(connection: Connection, source: str, target: Path) -> Path:
    """Save what the service sends; the file is there whole, or not at all.

    Raises:
        AdapteryError: what the service raised.
        OSError: if the file cannot be written.
    """
    partial = target.with_name(f".{target.name}.part")
    try:
        with connection.stream("GET", source) as response, partial.open("wb") as stream:
            for chunk in response.iter_bytes():
                stream.write(chunk)
        return partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


class Adapters:
    """The adapters that the caller may use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, search: str | None = None) -> Listing[Adapter]:
        """Return the adapters that the caller may use, newest first.

        Args:
            search: only adapters whose full name holds this, in whatever case.

        Raises:
            AdapteryError: what the service raised.
        """
        query = {"search": search} if search else {}
        found = self._connection.pages("api/adapters", Adapter, lambda adapter: adapter.id, query)
        return Listing(found, "adapter", ADAPTERS, "A completed job makes one.")

    def get(self, adapter: str) -> Adapter:
        """Return an adapter by id.

        Raises:
            NotFoundError: if there is none that the caller may use.
            AdapteryError: what the service raised.
        """
        return self._connection.get(path_of("api", "adapters", adapter), Adapter)

    def limit(
        self,
        adapter: str,
        *,
        answers: int | None = None,
        requests_per_minute: int | None = None,
        tokens_per_day: int | None = None,
    ) -> Adapter:
        """Set what may be asked of an adapter, by everyone together, in place of what was set.

        Args:
            adapter: its id or full name.
            answers: at a time.
            requests_per_minute: of all its users.
            tokens_per_day: of prompts and answers, from midnight UTC.

        Raises:
            NotAllowedError: if you do not manage it.
            AdapteryError: what the service raised.
        """
        limits = AdapterLimits(
            answers=answers,
            requests_per_minute=requests_per_minute,
            tokens_per_day=tokens_per_day,
        )
        found = adapter if is_id(adapter, "ad") else self._find(adapter).id
        body = AdapterChange(limits=limits).model_dump(exclude_none=True)
        path = path_of("api", "adapters", found)
        return checked(self._connection.send("PATCH", path, json=body), Adapter)

    def download(self, adapter: str, path: str | Path) -> Path:
        """Save an adapter as the archive that the service sends.

        Raises:
            NotAllowedError: if the caller may use it but not have it.
            AdapteryError: what the service raised.
            OSError: if the file cannot be written.
        """
        source = path_of("api", "adapters", adapter, "download")
        return save_archive(self._connection, source, Path(path))

    def share(self, adapter: str, principal: str, right: RightWord) -> Grant:
        """Give a user or group a right on an adapter, or change the one that they were given.

        Args:
            adapter: its id or full name.
            principal: `@user`, by short or exact Hub name, or a group that you are a member of.
            right: `use` asks it, `view` downloads it, `manage` deletes and shares it.

        Raises:
            InvalidInputError: if there is no such right, or the principal cannot be named.
            NotFoundError: if there is no such adapter that the caller may use.
            NotAllowedError: if you do not manage it.
            AdapteryError: what the service raised.
        """
        return self._sharing(adapter).share(principal, right)

    def unshare(self, adapter: str, principal: str | Grant) -> None:
        """Take away what a user or group was given; answers that are running end.

        Args:
            adapter: its id or full name.
            principal: who has the grant.

        Raises:
            NotFoundError: if it is not shared with them.
            AdapteryError: what the service raised.
        """
        self._sharing(adapter).unshare(principal)

    def shared_with(self, adapter: str) -> Listing[Grant]:
        """Return who was given which right, oldest grant first; the owner has theirs without.

        Args:
            adapter: its id or full name.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._sharing(adapter).shared_with()

    def _sharing(self, adapter: str) -> Sharing:
        found = adapter if is_id(adapter, "ad") else self._find(adapter).id
        return Sharing(self._connection, path_of("api", "adapters", found))

    def _find(self, full_name: str) -> Adapter:
        """Return an adapter by its full name; without a version, the newest.

        Raises:
            NotFoundError: if there is none that the caller may use.
        """
        for adapter in self.list(search=full_name):
            if full_name in (adapter.full_name, adapter.full_name.rpartition("@")[0]):
                return adapter
        raise NotFoundError(hint="adapters.list() shows the full names of those you may use")

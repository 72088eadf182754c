"""Adapters of the service."""

from __future__ import annotations

from pathlib import Path

from adaptery.client.columns import ADAPTERS
from adaptery.client.connection import Connection, path_of
from adaptery.client.listing import Listing
from adaptery.schemas.adapters import Adapter

__all__ = ["Adapters"]


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

    def download(self, adapter: str, path: str | Path) -> Path:
        """Save an adapter as the archive that the service sends.

        Raises:
            NotAllowedError: if the caller may use it but not have it.
            AdapteryError: what the service raised.
            OSError: if the file cannot be written.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.part")
        source = path_of("api", "adapters", adapter, "download")
        try:
            with self._connection.stream("GET", source) as response, partial.open("wb") as stream:
                for chunk in response.iter_bytes():
                    stream.write(chunk)
            return partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

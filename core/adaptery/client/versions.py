"""Published versions of datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adaptery.client.columns import version_facts
from adaptery.client.connection import Connection, path_of
from adaptery.client.listing import card
from adaptery.records import Record
from adaptery.schemas import curation
from adaptery.schemas import datasets as schemas

__all__ = ["Version"]


class Version:
    """One immutable snapshot of a dataset."""

    def __init__(self, connection: Connection, info: schemas.Version) -> None:
        self._connection = connection
        self.info = info

    @property
    def connection(self) -> Connection:
        """The connection that this came over."""
        return self._connection

    def __repr__(self) -> str:
        return f"<Version {self.name}: {self.info.records} records, {self.info.content_digest}>"

    def _repr_html_(self) -> str:
        return card(f"Version {self.name}", version_facts(self))

    @property
    def id(self) -> str:
        """The opaque id."""
        return self.info.id

    @property
    def name(self) -> str:
        """The pinned name, such as `@demo/visits@1`."""
        return self.info.name

    def records(self) -> Iterator[Record]:
        """Yield the records in their order.

        Raises:
            AdapteryError: what the service raised.
        """
        path = path_of("api", "versions", self.id, "records")
        for item in self._connection.pages(path, curation.RecordItem, lambda item: item.id):
            yield Record.from_dict(item.record)

    def manifest(self) -> dict[str, Any]:
        """Return the signed manifest, not yet verified; see `adaptery.manifests`.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.send("GET", path_of("api", "versions", self.id, "manifest")).json()

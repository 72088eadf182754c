"""What a version says about itself, whatever it was made from; plain data for a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adaptery.schemas.datasets import VersionReport


@dataclass(frozen=True)
class Heading:
    """Who a version is."""

    dataset_id: str
    version_id: str
    dataset_name: str  # with its owner, such as @demo/visits
    number: int
    sensitivity: str
    description: str
    license: str | None
    creator_id: str
    created_at: datetime

    @property
    def name(self) -> str:
        """The pinned name."""
        return f"{self.dataset_name}@{self.number}"


@dataclass(frozen=True)
class FileFact:
    """A file of a version, for its metadata."""

    path: str  # as a reader of the folder finds it
    bytes: int
    digest: str
    name: str | None = None
    source: str | None = None  # id of the version that it belongs to, if not to this one


@dataclass(frozen=True)
class CollatedFact:
    """Records that were collated into the draft; nothing of it names a draft."""

    id: str  # of the collation
    kind: str  # dataset or version
    source: str | None  # id of a version
    digest: str
    records: int


@dataclass(frozen=True)
class Facts:
    """What the card and the metadata of a version tell."""

    heading: Heading
    content_digest: str
    records: int
    report: VersionReport
    shards: tuple[FileFact, ...]
    originals: tuple[FileFact, ...] = ()
    sources: Mapping[str, str] | None = None  # of a merged version: content digest by version id
    collated: tuple[CollatedFact, ...] = ()

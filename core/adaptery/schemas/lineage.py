"""Where things come from and where they went: merges, differences, provenance, withdrawal.

A merged version holds no records of its own: it names the versions that it was made from, and the
recipe. What is told about a thing is told only to who may see that thing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptery.records import Kind
from adaptery.schemas.common import WITHOUT_NUL, Answer, DigestText, Instant, JsonObject, Model

__all__ = [
    "Collated",
    "DiffCounts",
    "DiffItem",
    "FieldDiff",
    "GraphEdge",
    "GraphNode",
    "LineageRequest",
    "LineageSighting",
    "MergeFilter",
    "MergeRequest",
    "MergeSource",
    "ProvenanceGraph",
    "RecordLineage",
    "Split",
    "VersionDiff",
    "WithdrawRequest",
    "WordPiece",
]

#: The splits that a draft may give its records to.
Split = Literal["train", "validation", "test"]

#: Versions that one merge may name.
SOURCES_LIMIT = 64
#: Times that a merge may repeat a source.
WEIGHT_LIMIT = 10
SEED_LIMIT = 2**53
REASON_LIMIT = 1_000  # characters


class MergeFilter(Model):
    """Which records of a source are taken; all conditions must hold."""

    kind: Kind | None = None
    split: Split | None = None
    min_length: int | None = Field(
        default=None, ge=0, lt=10**12, description="characters of all text of the record"
    )
    max_length: int | None = Field(default=None, ge=0, lt=10**12)


class MergeSource(Model):
    """One version that a merge takes records from, in the order of the sources."""

    version: Annotated[str, Field(min_length=1, max_length=300)] = Field(
        description="id, or pinned name such as `@demo/visits@3`"
    )
    filter: MergeFilter | None = None
    sample: int | None = Field(
        default=None, ge=1, lt=10**9, description="at most so many records, drawn by the seed"
    )
    weight: float = Field(
        default=1,
        gt=0,
        le=WEIGHT_LIMIT,
        description="how often its records count: 2 repeats each, 0.5 draws half by the seed",
    )
    seed: int = Field(default=0, ge=0, lt=SEED_LIMIT)


class MergeRequest(Model):
    """What the next version of a dataset is merged from."""

    sources: tuple[MergeSource, ...] = Field(min_length=1, max_length=SOURCES_LIMIT)
    kind: Kind | None = Field(
        default=None,
        description="translate every record to this kind; refused if kinds differ without it",
    )
    description: Annotated[str, Field(max_length=4_000, pattern=WITHOUT_NUL)] = ""


class WithdrawRequest(Model):
    """Why a version must not be used any more."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_LIMIT, pattern=WITHOUT_NUL)]


class WordPiece(Answer):
    """A run of words that stayed, went or came."""

    change: Literal["same", "removed", "added"]
    text: str


class FieldDiff(Answer):
    """One field of a changed record, word by word."""

    where: str = Field(description="the field, such as `messages[1].content`")
    pieces: tuple[WordPiece, ...]


class DiffItem(Answer):
    """One record that differs between two versions."""

    id: str = Field(description="of the item, to go on after it")
    change: Literal["added", "removed", "changed"]
    before: JsonObject | None
    after: JsonObject | None
    before_position: int | None = Field(description="in the earlier version, from 1")
    after_position: int | None
    words: tuple[FieldDiff, ...] | None = Field(
        default=None, description="of a changed record; null if it is too long to compare"
    )


class DiffCounts(Answer):
    """How many records differ."""

    added: int
    removed: int
    changed: int
    same: int


class VersionDiff(Answer):
    """What changed from one version to another, a page at a time."""

    before: str = Field(description="pinned name")
    after: str
    counts: DiffCounts
    items: tuple[DiffItem, ...]
    has_more: bool


class GraphNode(Answer):
    """A thing in a provenance graph. What the caller may not see has no name and no details."""

    id: str
    kind: Literal["file", "dataset", "version", "job", "adapter"]
    name: str | None = Field(description="null for what you may not see")
    state: str | None = None
    digest: str | None = None
    records: int | None = None
    created_at: Instant | None = None
    merged: bool | None = Field(default=None, description="of a version")


class Collated(Answer):
    """Records that were taken from a draft or version into the draft that was published."""

    records: int = Field(description="of them in that draft when it was published")
    digest: str | None = Field(
        description="of a version, its content; of a draft, the records that were taken; null if "
        "you may not see the source"
    )
    recipe: JsonObject | None = Field(
        description="weight, sample, seed, filter (without its words) and kind; null as `digest`"
    )


class GraphEdge(Answer):
    """`source` went into `target`."""

    source: str
    target: str
    collated: tuple[Collated, ...] = ()


class ProvenanceGraph(Answer):
    """What a version came from and what came of it, as far as the caller may see it."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    truncated: bool = Field(default=False, description="whether there is more than is listed")


class LineageRequest(Model):
    """A record to follow; ids are content-free digests, but they stay out of addresses."""

    record_id: DigestText


class LineageSighting(Answer):
    """A version that holds the record."""

    version: str
    name: str
    position: int = Field(description="the first one in the version, from 1")
    split: Split | None
    state: str


class RecordLineage(Answer):
    """Who saw a record, as far as the caller may see it."""

    record_id: DigestText
    versions: tuple[LineageSighting, ...]
    graph: ProvenanceGraph = Field(
        description="those versions, and the jobs and adapters that saw the record"
    )

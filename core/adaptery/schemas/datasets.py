"""Datasets, their files, records and versions, and the operations that publish them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptery.schemas.clearml import ClearmlLink
from adaptery.schemas.common import (
    WITHOUT_NUL,
    Answer,
    Instant,
    JsonObject,
    Model,
    Problem,
    Sensitivity,
)
from adaptery.schemas.stores import StoreLevel

__all__ = [
    "CharacterCounts",
    "Dataset",
    "DatasetCreate",
    "DatasetOrder",
    "DatasetPatch",
    "FileCount",
    "FileInfo",
    "Operation",
    "PublishRequest",
    "ReviewCount",
    "Version",
    "VersionReport",
]

#: Characters. The pattern of names is that of `adaptery.names`, which explains refusals better.
NAME_LIMIT = 64
DESCRIPTION_LIMIT = 4_000  # characters

NameText = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
Description = Annotated[str, Field(max_length=DESCRIPTION_LIMIT, pattern=WITHOUT_NUL)]


#: The orders that datasets can be asked for in; `-changed` begins with what was changed last.
DatasetOrder = Literal["created", "-changed", "name"]


class DatasetCreate(Model):
    """What it takes to make a dataset."""

    name: NameText
    tenant: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="slug or Hub name of the owner; the caller's own if absent"
    )
    sensitivity: Sensitivity = "internal"
    description: Description = ""


class DatasetPatch(Model):
    """What may be changed about a dataset; absent fields stay."""

    description: Description | None = None
    sensitivity: Sensitivity | None = None


class Dataset(Answer):
    """A named series of versions with a mutable draft."""

    id: str
    name: str
    full_name: str
    tenant: str
    sensitivity: str
    description: str
    records: int
    right: str
    created_at: Instant
    updated_at: Instant
    expires_at: Instant | None = Field(
        default=None, description="when it is erased, if it was uploaded for a while"
    )


class FileInfo(Answer):
    """A file that was uploaded into a draft."""

    id: str
    dataset: str
    name: str
    digest: str | None
    bytes: int
    format: str | None
    container: str | None = None
    mapping: JsonObject | None = Field(default=None, description="by which it was imported")
    tokenizer: str | None = Field(
        default=None, description="the base model whose tokens cut it; null: words, or none"
    )
    records: int
    problems: int = Field(default=0, description="bad records, which are not in the draft")
    state: Literal["receiving", "received", "importing", "ready", "refused"]
    reason: str | None = Field(default=None, description="why it was refused")
    original: bool = Field(default=False, description="whether the bytes that came are kept")
    created_at: Instant


class PublishRequest(Model):
    """What is said about a version when it is published; it goes onto its card."""

    description: Description = ""
    license: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")] | None = Field(
        default=None, description="an SPDX identifier in lower case, such as `cc-by-4.0`"
    )


class CharacterCounts(Answer):
    """How long the records of a version are, in characters of all their text."""

    min: int
    median: int = Field(description="the lower one of two in the middle")
    max: int
    total: int


class FileCount(Answer):
    """How many records of a draft came from one file."""

    name: str | None = Field(description="null for the records that were added by hand")
    records: int


class ReviewCount(Answer):
    """What a review queue held when the draft was published."""

    open: int
    decided: int


class VersionReport(Answer):
    """What went into a version when it was published."""

    draft_records: int
    duplicates_dropped: int
    kinds: dict[str, int]
    files: tuple[FileCount, ...] = Field(description="with their records in the draft")
    files_left_out: int = Field(default=0, description="files that are not listed, being too many")
    edits: int = Field(description="edits by hand that stood in the draft")
    characters: CharacterCounts
    splits: dict[str, int] | None = Field(
        default=None, description="records by split; null if the draft was not split"
    )
    unsplit: int | None = Field(
        default=None, description="records in no split, where others are in one; null if none are"
    )
    languages: dict[str, int] | None = Field(
        default=None, description="records by language; null if it was not looked at"
    )
    review: dict[str, ReviewCount] | None = Field(
        default=None, description="by queue; what was found and decided"
    )
    decided: dict[str, int] | None = Field(
        default=None,
        description="by queue; decisions that stood, also where the draft changed after the review",
    )
    dropped: dict[str, int] | None = Field(
        default=None, description="of a merged version: what its translation left out, how often"
    )


class Version(Answer):
    """One immutable snapshot of a dataset."""

    id: str
    dataset: str
    number: int
    name: str
    content_digest: str | None
    manifest_digest: str | None
    records: int
    duplicates_dropped: int
    state: str
    created_at: Instant
    encrypted: bool = Field(default=False, description="whether its files are encrypted at rest")
    level: StoreLevel | None = Field(
        default=None, description="what was proved of the store; null where it is not told"
    )
    report: VersionReport | None = Field(
        default=None, description="null for a version of a release that made none"
    )
    description: str = ""
    license: str | None = None
    splits: dict[str, int] | None = Field(default=None, description="records by split, if any")
    sources: tuple[str, ...] | None = Field(
        default=None, description="of a merged version: the ids of the versions it references"
    )
    reason: str | None = Field(default=None, description="why it was withdrawn")
    withdrawn_at: Instant | None = None
    withdrawn_sources: int = Field(
        default=0, description="of a merged version: how many of its sources are withdrawn or gone"
    )
    clearml: ClearmlLink | None = Field(
        default=None, description="of a version asked for alone, if the service knows a ClearML"
    )


class Operation(Answer):
    """Work that takes longer than a request; poll it or follow its events."""

    id: str
    kind: str
    state: Literal["running", "completed", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1)
    done: int
    total: int | None
    result: JsonObject | None
    error: Problem | None
    created_at: Instant

"""Imports: how a file is understood, what it would become, and what is wrong in it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from adaptery.schemas.common import Answer, JsonObject, Model

__all__ = [
    "BadRecords",
    "FilePreview",
    "FileProblem",
    "FileSuggestion",
    "ImportRequest",
    "MemberSuggestion",
    "PreviewItem",
    "PreviewRequest",
]

#: What happens to a file with bad records: it is refused, or they are left out.
BadRecords = Literal["refuse", "skip"]


class FileProblem(Answer):
    """A bad record of a file: where it is and why, never what it holds."""

    id: str = Field(description="counts from 1 in the order of the file")
    number: int | None = Field(description="of the record; null if it is about the whole file")
    where: str = Field(description="file in an archive, line or record, and field")
    reason: str
    remedy: str


class PreviewItem(Answer):
    """What one record of a file would become, or why it would not."""

    number: int
    record: JsonObject | None
    problem: FileProblem | None


class FilePreview(Answer):
    """The first records of a file, as a mapping has them."""

    preview: tuple[PreviewItem, ...]
    problems_in_preview: int


class MemberSuggestion(Answer):
    """How one file in an archive is understood."""

    name: str
    mapping: JsonObject | None = Field(description="null: it is left out, as `why` says")
    confident: bool
    why: str
    columns: tuple[str, ...] = ()


class FileSuggestion(FilePreview):
    """How a file is understood, to be confirmed or corrected."""

    mapping: JsonObject | None = Field(description="null for an archive: see `members`")
    confident: bool = Field(description="whether it is imported so without being asked about")
    why: str
    columns: tuple[str, ...] = Field(description="that the file has")
    members: tuple[MemberSuggestion, ...] = Field(
        default=(), description="of an archive: each file in it"
    )


class PreviewRequest(Model):
    """A mapping to be tried."""

    mapping: JsonObject


class ImportRequest(Model):
    """How a file that was received becomes records."""

    mapping: JsonObject | None = Field(
        default=None, description="the suggested one if absent, where that is certain"
    )
    members: tuple[JsonObject, ...] = Field(
        default=(), description="of an archive: the mapping of each file in it that is imported"
    )
    bad_records: BadRecords = "refuse"

"""Imports: how a file is understood, what it would become, and what is wrong in it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from adaptery.schemas.common import Answer, JsonObject, Model
from adaptery.schemas.mappings import Format, Mapping, Suggestion

__all__ = [
    "PROBLEM_COLUMNS",
    "UNCERTAIN",
    "BadRecords",
    "FilePreview",
    "FileProblem",
    "FileSuggestion",
    "ImportRequest",
    "PreviewItem",
    "PreviewRequest",
]

#: What happens to a file with bad records: it is refused, or they are left out.
BadRecords = Literal["refuse", "skip"]

#: What the list of problems as CSV has in each line, whoever writes it.
PROBLEM_COLUMNS: Final = ("number", "where", "reason", "remedy")
#: How the refusal begins of a file that nobody knows how to read for certain; the reason follows.
UNCERTAIN: Final = "It is not certain how to read this file:"

_TOKENIZER = "the base model whose tokens cut a text, where that is asked for; null: words"


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
    tokenizer: str | None = Field(default=None, description=_TOKENIZER)


class FileSuggestion(Suggestion):
    """How a file would be read, with its first records as the suggested mapping has them."""

    preview: tuple[PreviewItem, ...] = ()
    problems_in_preview: int = 0
    tokenizer: str | None = Field(default=None, description=_TOKENIZER)


class PreviewRequest(Model):
    """A mapping to be tried."""

    mapping: Mapping


class ImportRequest(Model):
    """How a file that was received becomes records."""

    mapping: Mapping | None = Field(
        default=None, description="the suggested one if absent, where that leaves no doubt"
    )
    format: Format | None = Field(
        default=None, description="of the suggestion, where none is given; settles a doubt"
    )
    bad_records: BadRecords = "refuse"

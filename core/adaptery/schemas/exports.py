"""What an export of a version lacks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from adaptery.schemas.common import Answer, ProblemEntry
from adaptery.schemas.lineage import Split

__all__ = ["EXPORT_REPORT_HEADER", "ExportProblem", "ExportReport", "ExportSplit"]

#: What an export may be limited to; `none`: the records that are in no split.
ExportSplit = Split | Literal["none"]

#: The header of an answer that holds a report, as JSON, without the list of problems.
EXPORT_REPORT_HEADER = "X-Export-Report"


class ExportProblem(ProblemEntry):
    """A record that the format cannot hold."""


class ExportReport(Answer):
    """What became of the records of a version in another format."""

    records: int
    dropped: dict[str, int] = Field(
        default={}, description="what the format has no place for, and in how many records"
    )
    escaped_cells: int = Field(
        default=0, description="cells with an apostrophe added, so that no spreadsheet runs them"
    )
    refused: int = Field(default=0, description="records that the format cannot hold")
    splits: dict[str, int] = Field(
        default={},
        description="records that were taken of each split, the refused ones too; `unsplit`: in "
        "none; empty if the version has no splits",
    )
    together: bool = Field(
        default=False,
        description="whether one file holds records of several splits, and does not tell of which",
    )
    problems: tuple[ExportProblem, ...] = Field(
        default=(), description="the refused records, by number; the first thousand"
    )

"""What the formats share: reading the fields of one row, and saying which field is wrong.

A row is one parsed JSON object of a file. Each format turns it into a `RowReading`: the messages
(or text) and, for each message, the place in the row it came from, so that a problem of the record
is told in the words of the file (`output`, not `messages[1].content`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from adaptery.errors import FieldProblem, RecordError
from adaptery.records import Record

__all__ = ["Row", "RowError", "RowReading", "refuse_other_kinds", "text_field"]

Row = Mapping[str, object]

_MESSAGE = re.compile(r"messages\[(\d+)\](\.content)?")
_MEDIA = ("images", "videos", "audios")


class RowError(ValueError):
    """The row cannot become a record; `problem.where` is the field, empty for the whole row."""

    def __init__(self, where: str, reason: str, remedy: str = "") -> None:
        self.problem = FieldProblem(where, reason, remedy)
        super().__init__(reason)


@dataclass(frozen=True)
class RowReading:
    """A row, read but not yet checked."""

    #: The record as plain JSON, as `Record.from_dict` takes it.
    record: Mapping[str, object]
    #: For each message, the field that it came from.
    origins: tuple[str, ...] = ()
    #: Fields that this format does not know.
    ignored: tuple[str, ...] = field(default=())

    def to_record(self) -> Record:
        """Return the checked record.

        Raises:
            RecordError: with the problem in the words of the file.
        """
        try:
            return Record.from_dict(dict(self.record))
        except RecordError as exc:
            problem = exc.errors[0]
            where = _MESSAGE.sub(self._origin, problem.where)
            raise RecordError(
                errors=[FieldProblem(where, problem.reason, problem.remedy)]
            ) from None

    def _origin(self, match: re.Match[str]) -> str:
        i = int(match[1])
        return self.origins[i] if i < len(self.origins) else match[0]


def text_field(row: Row, name: str, *, required: bool = False) -> str:
    """Return a text field of a row; absent and null count as empty where it is not required.

    Raises:
        RowError: if it is missing or not text.
    """
    value = row.get(name)
    if value is None:
        if required:
            raise RowError(name, "is missing.", "Check the names of the columns.")
        return ""
    if not isinstance(value, str):
        raise RowError(name, "is not text.", 'Write it as a JSON string, "...".')
    return value


def refuse_other_kinds(row: Row) -> None:
    """Refuse rows that mean something else than an example to imitate.

    Raises:
        RowError: for preference pairs, KTO labels and media, which would be trained on wrongly if
            those fields were left out.
    """
    if "chosen" in row or "rejected" in row:
        reason = "is a preference pair, which this release does not train on."
        raise RowError("chosen", reason, "Keep the chosen answer as the assistant's last message.")
    if isinstance(row.get("kto_tag"), bool) or isinstance(row.get("label"), bool):
        reason = "marks answers as good or bad, which this release does not train on."
        raise RowError("label", reason, "Keep the good answers and remove the column.")
    for name in _MEDIA:
        if cast("object", row.get(name)):
            raise RowError(name, "is not offered: records are text only.", "Remove it.")

"""What the formats share: reading the fields of one row, and saying which field is wrong.

A row is one record as its file holds it, with its columns under our names (`picking`). Each format
turns it into a `RowReading`: the messages (or text) and, for each message, the place in the row it
came from, so that a problem of the record is told in the words of the file (`output`, not
`messages[1].content`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from adaptery.errors import FieldProblem, RecordError
from adaptery.records import Record

__all__ = [
    "Row",
    "RowError",
    "RowReading",
    "fields_of",
    "from_json",
    "items_of",
    "looks_like_a_name",
    "parse_object",
    "shown_columns",
    "text_field",
]

Row = Mapping[str, object]

_COLUMN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .-]{0,39}")
_MESSAGE = re.compile(r"messages\[(\d+)\](\.content)?")


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
    #: Tells the field that a message came from, by its number.
    origin: Callable[[int], str] | None = None
    #: Fields that this format does not know.
    ignored: tuple[str, ...] = field(default=())

    def to_record(self) -> Record:
        """Return the checked record.

        Raises:
            RecordError: with the problem in the words of the file.
        """
        try:
            record = Record.from_dict(self.record)
            _refuse_nul(record)
            return record
        except RecordError as exc:
            problem = exc.errors[0]
            where = _MESSAGE.sub(self._origin, problem.where)
            raise RecordError(
                errors=[FieldProblem(where, problem.reason, problem.remedy)]
            ) from None

    def _origin(self, match: re.Match[str]) -> str:
        return self.origin(int(match[1])) if self.origin is not None else match[0]


def _refuse_nul(record: Record) -> None:
    """Refuse NUL characters: no text has them, and databases end a text at one."""
    answers = {"chosen": record.chosen, "rejected": record.rejected}
    places = {name: message.content for name, message in answers.items() if message is not None}
    if record.text is not None:
        places["text"] = record.text
    for i, message in enumerate(record.messages):
        if "\0" in message.content:
            places[f"messages[{i}].content"] = message.content
    for where, content in places.items():
        if "\0" in content:
            problem = FieldProblem(where, "holds a NUL character.", "Remove it.")
            raise RecordError(errors=[problem])


def looks_like_a_name(column: str) -> bool:
    """Tell whether the name of a column may be shown: it is the file's, and could be content."""
    return _COLUMN.fullmatch(column) is not None


def shown_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of columns as they may be shown, in order."""
    if not names:
        return ()
    return tuple(sorted({name if looks_like_a_name(name) else "(a name)" for name in names}))


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


def fields_of(value: object) -> Row:
    """Return the fields of an object; none of anything else."""
    return cast("Row", value) if isinstance(value, dict) else {}


def items_of(value: object) -> list[object]:
    """Return the items of a list; none of anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []


def from_json(value: object, where: str) -> object:
    """Return what JSON text in a cell holds; anything but text is returned as it is.

    Raises:
        RowError: if it is not valid JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return _loads(value)
    except (ValueError, RecursionError):
        raise RowError(where, "is not valid JSON.", "Write it as a JSON object or list.") from None


def parse_object(element: bytes) -> Row:
    """Return the JSON object that a text holds.

    Raises:
        RowError: if it holds something else, or the same field twice.
    """
    if not element:
        raise RowError("", "is empty: two commas, or one at the end.", "Remove the comma.")
    try:
        value = _loads(element.decode("utf-8"))
    except UnicodeDecodeError:
        raise RowError(
            "", "is not valid UTF-8.", "Save the file as UTF-8, or name its encoding."
        ) from None
    except RecursionError:
        raise RowError("", "is nested too deeply.", "Flatten it.") from None
    except RowError:
        raise
    except ValueError:
        raise RowError("", "is not valid JSON.", "Check quotes, commas and brackets.") from None
    if not isinstance(value, dict):
        raise RowError("", "is not a JSON object.", 'Write it as {"field": ...}.')
    return cast("Row", value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise RowError("", "has the same field twice.", "Keep one of them.")
    return result


# NaN passes here, so that the field that holds it is named when the record is checked.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _loads(text: str) -> object:
    return cast("object", _DECODER.decode(text))

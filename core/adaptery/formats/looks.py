"""Looks at the beginning of one file: its encoding and container, its columns and their meaning."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from itertools import islice

from adaptery.errors import AdapteryError, FieldProblem, InvalidInputError
from adaptery.formats.columns import Seen, guess, look_at
from adaptery.formats.containers import TEXT_CONTAINERS, Shape, check_text, container_of, raw_rows
from adaptery.formats.encodings import as_utf8, guess_encoding
from adaptery.formats.nested_json import find_list
from adaptery.formats.rows import Row, RowError
from adaptery.formats.sources import Source
from adaptery.formats.tables import header_of
from adaptery.schemas.mappings import (
    FIELDS,
    REQUIRED_FIELDS,
    Column,
    Container,
    Encoding,
    Format,
    Mapping,
    MappingField,
    Suggestion,
    Tags,
)

__all__ = ["Look"]

#: Rows that are looked at, so that one broken row does not decide.
_SAMPLE_ROWS = 20
_ENCODING_BYTES = 256 * 1024
#: Fields that the first records may well not have.
_LATER: frozenset[MappingField] = frozenset({"input", "system", "history", "tools"})


class Look:
    """What the beginning of one file shows.

    With a format that the user gave, nothing is to be confirmed: no doubtful encoding is taken, and
    records that cannot be read are left to the reading, which tells of each.
    """

    def __init__(self, source: Source, format: Format | None = None) -> None:
        self.source = source
        self.format: Format | None = format
        self.doubt = ""  # why the encoding is not certain
        container = container_of(source)
        encoding, delimiter, records = self._text_shape(container)
        self.shape = Shape(container, encoding, delimiter, records)
        rows = [] if container in ("txt", "zip") else self._rows()
        if records is not None and (alone := _alone(source, self.shape)) is not None:
            self.shape, rows = Shape(container, encoding), [alone]
        self.seen = look_at(rows)

    def _text_shape(self, container: Container) -> tuple[Encoding | None, str | None, str | None]:
        if container not in TEXT_CONTAINERS:
            return None, None, None
        head = self.source.head(_ENCODING_BYTES)
        encoding, certain, why = guess_encoding(head)
        if self.format is not None and not certain:
            encoding = "utf-8"
        elif not certain:
            self.doubt = why
        check_text(self.source, encoding)
        given = None if encoding == "utf-8" else encoding
        delimiter = records = None
        with self.source.open() as raw, as_utf8(raw, given) as stream:
            if container == "csv":
                delimiter = _delimiter(stream.readline(64 * 1024).decode("utf-8", "replace"))
            elif container == "json":
                records = find_list(stream)
        return given, delimiter, records

    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        problem: FieldProblem | None = None
        for number, row in enumerate(islice(raw_rows(self.source, self.shape), _SAMPLE_ROWS), 1):
            try:
                rows.append(row.parse())
            except RowError as exc:
                line = "" if row.line is None else f" (line {row.line})"
                problem = problem or FieldProblem(
                    f"record {number}{line}", exc.problem.reason, exc.problem.remedy
                )
        if not rows and self.format is None:
            raise _nothing_to_read(problem)
        return rows

    def mapping(
        self,
        format: Format,
        columns: AnyMapping[MappingField, str],
        member: str | None = None,
        tags: Tags | None = None,
    ) -> Mapping:
        """Return a mapping of this file."""
        return Mapping.model_validate(
            {
                "format": format,
                "container": self.shape.container,
                "columns": self._columns_of(format, columns),
                "tags": tags or Tags(),
                "encoding": self.shape.encoding,
                "delimiter": self.shape.delimiter,
                "records": self.shape.records,
                "member": member,
            }
        )

    def _columns_of(
        self, format: Format, columns: AnyMapping[MappingField, str]
    ) -> dict[MappingField, str]:
        """Return the columns that are there, and those that may come later in the file."""
        if self.shape.container in ("json", "jsonl"):
            return _with_later_ones(format, columns)
        names = {seen.name for seen in self.seen}
        needed = REQUIRED_FIELDS[format]
        return {n: c for n, c in columns.items() if c.split(".")[0] in names or n in needed}

    def suggestion(self, member: str | None = None) -> Suggestion:
        """Return how this file would be read."""
        if self.format is not None:
            return self._in(self.format, member)
        if self.shape.container == "txt":
            return self._suggested("text", {}, "It is plain text, parted by empty lines.", member)
        guessed = guess(self.seen)
        if guessed is None:
            return Suggestion(
                mapping=None,
                container=self.shape.container,
                confident=False,
                why="No column looks like a question with an answer, a conversation or a text.",
                columns=self.columns({}),
            )
        told = self._suggested(guessed.format, guessed.columns, guessed.why, member, guessed.tags)
        return told if guessed.confident else told.model_copy(update={"confident": False})

    def _in(self, format: Format, member: str | None) -> Suggestion:
        why = f"You say that it is {format}."
        if self.shape.container == "txt":
            return self._suggested(format, {}, why, member)
        guessed = guess(self.seen)
        if guessed is not None and guessed.format == format and guessed.confident:
            return self._suggested(format, guessed.columns, why, member, guessed.tags)
        return self._suggested(format, _plain_columns(format, self.seen), why, member)

    def _suggested(
        self,
        format: Format,
        columns: AnyMapping[MappingField, str],
        why: str,
        member: str | None,
        tags: Tags | None = None,
    ) -> Suggestion:
        return Suggestion(
            mapping=self.mapping(format, columns, member, tags),
            container=self.shape.container,
            confident=not self.doubt,
            why=f"{why} {self.doubt}".strip(),
            columns=self.columns(columns),
        )

    def columns(self, used: AnyMapping[MappingField, str]) -> tuple[Column, ...]:
        """Return the columns of the file, and as what each is used."""
        by_column: dict[str, MappingField] = {column: name for name, column in used.items()}
        return tuple(
            Column(name=seen.name, holds=seen.holds, used_as=by_column.get(seen.name))
            for seen in self.seen
            if not seen.nested or seen.name in by_column
        )


def _plain_columns(format: Format, seen: Sequence[Seen]) -> dict[MappingField, str]:
    """Return the columns of a format by its own names."""
    names = {column.name for column in seen}
    columns: dict[MappingField, str] = {name: name for name in FIELDS[format]}
    if "messages" in columns and (
        "conversations" in names or ("messages" not in names and format == "sharegpt")
    ):
        columns["messages"] = "conversations"
    if "label" in columns and "label" not in names and "kto_tag" in names:
        columns["label"] = "kto_tag"
    return columns


def _with_later_ones(
    format: Format, columns: AnyMapping[MappingField, str]
) -> dict[MappingField, str]:
    """Add the columns that a later record may have, by their usual names."""
    taken = set(columns.values())
    later: dict[MappingField, str] = {
        name: name
        for name in FIELDS[format]
        if name in _LATER and name not in columns and name not in taken
    }
    return {**columns, **later}


def _alone(source: Source, shape: Shape) -> Row | None:
    """Return the file's only record, if the list that was found is a part of it."""
    try:
        row = next(raw_rows(source, Shape("json", shape.encoding))).parse()
    except (RowError, AdapteryError, StopIteration):
        return None
    guessed = guess(look_at([row]))
    columns = guessed.columns.values() if guessed else ()
    used = {column.partition(".")[0] for column in columns}
    return row if (shape.records or "").partition(".")[0] in used else None


def _delimiter(header: str) -> str | None:
    """Return the separator that parts a header into most columns; None for the usual comma."""
    counts = {sign: header_of(header, sign) for sign in (",", ";", "\t", "|")}
    best = max(counts, key=lambda sign: counts[sign])
    return None if best == "," or counts[best] < 2 else best


def _nothing_to_read(problem: FieldProblem | None) -> InvalidInputError:
    if problem is None:
        return InvalidInputError("The file holds no records.", hint="upload at least one record")
    return InvalidInputError(
        "The first records of the file cannot be read.",
        hint="a .json file holds one list of records, a .jsonl file one record a line",
        errors=[problem],
    )

"""Suggests how a file is to be read, and says why, so that the user can confirm or change it."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import cast

from adaptery.errors import AdapteryError, FieldProblem, InvalidInputError
from adaptery.formats.archives import open_archive
from adaptery.formats.columns import Guess, Seen, guess, look_at
from adaptery.formats.containers import (
    TEXT_CONTAINERS,
    Shape,
    check_text,
    container_of,
    raw_rows,
)
from adaptery.formats.encodings import as_utf8, guess_encoding
from adaptery.formats.folders import INFO_NAME, Entry, entries_of, open_folder
from adaptery.formats.nested_json import find_list
from adaptery.formats.rows import Row, RowError, shown_columns
from adaptery.formats.sources import Source, source_of
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
    Member,
    Suggestion,
)

__all__ = ["detect_format", "mapping_for", "suggest"]

#: Rows that are looked at, so that one broken row does not decide.
_SAMPLE_ROWS = 20
_ENCODING_BYTES = 256 * 1024
#: Fields that the first records may well not have.
_LATER: frozenset[MappingField] = frozenset({"input", "system", "history", "tools"})
_COLUMNS_SHOWN = 12
#: Text files of an archive that tell about it and are no data.
_NOTES = frozenset({"readme", "license", "licence", "source", "notice", "changelog", "citation"})


def suggest(path: Path, filename: str | None = None, format: Format | None = None) -> Suggestion:
    """Return how a file, or a folder, would be read.

    Args:
        path: where the bytes lie.
        filename: the name that the user gave, if the path has another.
        format: what the user says it is; only the rest is found out then.

    Raises:
        InvalidInputError: if it is empty, binary, of a type that is not offered, or its first
            records cannot be read.
        TooLargeError: if one of the first records, or an archive, is over its limit.
        MissingExtraError: for Parquet and Arrow without pyarrow.
        OSError: if it cannot be read.
    """
    if path.is_dir():
        with open_folder(path) as sources:
            return _of_members("folder", sources, format)
    source = source_of(path, filename)
    if container_of(source) == "zip":
        with open_archive(path) as sources:
            return _of_members("zip", sources, format)
    told = _Look(source, format).suggestion()
    return Suggestion(
        mapping=told.mapping,
        container=told.container,
        confident=told.confident,
        why=told.why,
        columns=told.columns,
    )


def mapping_for(path: Path, filename: str | None = None, format: Format | None = None) -> Mapping:
    """Return the mapping of a file that leaves no doubt, or that has the format that is named.

    Raises:
        InvalidInputError: as `suggest`; also if the columns are of no known format, or must be
            confirmed first.
    """
    suggestion = suggest(path, filename, format)
    if suggestion.mapping is None:
        raise _wrong_columns(suggestion.columns)
    if not suggestion.confident and format is None:
        problem = FieldProblem("mapping", suggestion.why, "Confirm or correct the mapping.")
        raise InvalidInputError("How to read the file is not certain.", errors=[problem])
    return suggestion.mapping


def detect_format(path: Path, filename: str | None = None) -> Format:
    """Return the format of a file by its name and its first records.

    Raises:
        InvalidInputError: as `mapping_for`.
    """
    return mapping_for(path, filename).format


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
    later = {
        name: name
        for name in FIELDS[format]
        if name in _LATER and name not in columns and name not in taken
    }
    return {**columns, **later}


class _Look:
    """What the beginning of one file shows.

    With a format that the user gave, nothing is to be confirmed: no doubtful encoding is taken, and
    records that cannot be read are left to the reading, which tells of each.
    """

    def __init__(self, source: Source, format: Format | None = None) -> None:
        self.source = source
        self.format = format
        self.doubt = ""  # why the encoding is not certain
        container = container_of(source)
        encoding, delimiter, records = self._text_shape(container)
        self.shape = Shape(container, encoding, delimiter, records)
        self.problem: FieldProblem | None = None
        rows = [] if container in ("txt", "zip") else self._rows()
        if records is not None and (turns := _alone(source, self.shape)) is not None:
            self.shape, rows = Shape(container, encoding), [turns]
        self.rows = rows
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
        for number, row in enumerate(islice(raw_rows(self.source, self.shape), _SAMPLE_ROWS), 1):
            try:
                rows.append(row.parse())
            except RowError as exc:
                where = (
                    f"record {number}" if row.line is None else f"record {number} (line {row.line})"
                )
                problem = FieldProblem(where, exc.problem.reason, exc.problem.remedy)
                self.problem = self.problem or problem
        if self.format is not None:
            return rows
        if not rows and self.problem is None:
            raise InvalidInputError("The file holds no records.", hint="upload at least one record")
        if not rows and self.problem is not None:
            raise InvalidInputError(
                "The first records of the file cannot be read.",
                hint="a .json file holds one list of records, a .jsonl file one record a line",
                errors=[self.problem],
            )
        return rows

    def mapping(
        self,
        format: Format,
        columns: AnyMapping[MappingField, str],
        guessed: Guess | None = None,
        member: str | None = None,
    ) -> Mapping:
        """Return a mapping of this file."""
        return Mapping.model_validate(
            {
                "format": format,
                "container": self.shape.container,
                "columns": self._columns_of(format, columns),
                "tags": guessed.tags if guessed is not None else {},
                "encoding": self.shape.encoding,
                "delimiter": self.shape.delimiter,
                "records": self.shape.records,
                "member": member,
            }
        )

    def _columns_of(
        self, format: Format, columns: AnyMapping[MappingField, str]
    ) -> dict[MappingField, str]:
        if self.shape.container in ("json", "jsonl"):
            return _with_later_ones(format, columns)
        names = {seen.name for seen in self.seen}
        needed = REQUIRED_FIELDS[format]
        return {n: c for n, c in columns.items() if c.split(".")[0] in names or n in needed}

    def suggestion(self, member: str | None = None) -> _Told:
        """Return how this file would be read."""
        container = self.shape.container
        if self.format is not None:
            return self._in(self.format, member)
        if container == "txt":
            why = "It is plain text; empty lines part the records."
            return _Told(
                container, self.mapping("text", {}, member=member), not self.doubt, self._why(why)
            )
        guessed = guess(self.seen)
        if guessed is None:
            return _Told(
                container,
                None,
                False,
                "No column looks like a question with an answer, a conversation or a text.",
                _columns(self.seen, {}),
            )
        mapping = self.mapping(guessed.format, dict(guessed.columns), guessed, member)
        return _Told(
            container,
            mapping,
            guessed.confident and not self.doubt,
            self._why(guessed.why),
            _columns(self.seen, guessed.columns),
        )

    def _in(self, format: Format, member: str | None) -> _Told:
        guessed = guess(self.seen)
        if guessed is not None and (guessed.format != format or not guessed.confident):
            guessed = None
        columns = dict(guessed.columns) if guessed else _plain_columns(format, self.seen)
        if self.shape.container == "txt":
            columns = {}
        mapping = self.mapping(format, columns, guessed, member)
        why = self._why(f"You say that it is {format}.")
        seen = _columns(self.seen, columns)
        return _Told(self.shape.container, mapping, not self.doubt, why, seen)

    def _why(self, why: str) -> str:
        return f"{why} {self.doubt}".strip()


class _Told:
    """How one file would be read."""

    def __init__(
        self,
        container: Container,
        mapping: Mapping | None,
        confident: bool,
        why: str,
        columns: tuple[Column, ...] = (),
    ) -> None:
        self.container = container
        self.mapping = mapping
        self.confident = confident
        self.why = why
        self.columns = columns


def _alone(source: Source, shape: Shape) -> Row | None:
    """Return the file's only record, if the list that was found in it holds turns and no rows."""
    try:
        row = next(raw_rows(source, Shape("json", shape.encoding))).parse()
    except (RowError, AdapteryError, StopIteration):
        return None
    guessed = guess(look_at([row]))
    return row if guessed is not None and guessed.format in ("sharegpt", "openai", "kto") else None


def _delimiter(header: str) -> str | None:
    """Return the separator that parts a header into most columns; None for the usual comma."""
    counts = {sign: header_of(header, sign) for sign in (",", ";", "\t", "|")}
    best = max(counts, key=lambda sign: counts[sign])
    return None if best == "," or counts[best] < 2 else best


def _columns(seen: Sequence[Seen], used: object) -> tuple[Column, ...]:
    by_column = {column: name for name, column in cast("dict[MappingField, str]", used).items()}
    return tuple(
        Column(name=column.name, holds=column.holds, used_as=by_column.get(column.name))
        for column in seen
        if not column.nested or column.name in by_column
    )


def _of_members(
    container: Container, sources: Sequence[Source], format: Format | None
) -> Suggestion:
    info = next((s for s in sources if s.name.rpartition("/")[2] == INFO_NAME), None)
    if info is not None:
        members, why = _described(info, sources)
    else:
        members = [_member(source, format) for source in sources]
        why = ""
    parts = tuple(member.mapping for member in members if member.mapping is not None)
    if not parts:
        raise InvalidInputError(
            "The archive holds no file that can be read.",
            hint="pack .json, .jsonl, .csv, .tsv, .parquet, .arrow or .txt files",
            errors=[FieldProblem(member.name, member.why) for member in members][:20],
        )
    formats = sorted({part.format for part in parts})
    return Suggestion(
        mapping=Mapping(format=parts[0].format, container=container, parts=parts),
        container=container,
        confident=all(member.confident for member in members if member.mapping is not None),
        why=why or f"{len(parts)} of {len(members)} files can be read, as {', '.join(formats)}.",
        members=tuple(members),
    )


def _member(source: Source, format: Format | None) -> Member:
    stem = source.name.rpartition("/")[2].partition(".")[0].casefold()
    if stem in _NOTES:
        return Member(name=source.name, why="It tells about the data and is no data.")
    try:
        told = _Look(source, format).suggestion(source.name)
    except AdapteryError as exc:
        return Member(name=source.name, why=exc.message)
    return Member(
        name=source.name,
        mapping=told.mapping,
        confident=told.confident,
        why=told.why,
        columns=told.columns,
    )


def _described(info: Source, sources: Sequence[Source]) -> tuple[list[Member], str]:
    entries, missing = entries_of(info, sources)
    by_name = {source.name: source for source in sources}
    read = set[str]()
    members: list[Member] = []
    for entry in entries:
        members.append(_of_entry(entry, by_name[entry.file], again=entry.file in read))
        if members[-1].mapping is not None:
            read.add(entry.file)
    why = f"{INFO_NAME} describes {len(read)} of its files"
    return members, f"{why}; {missing} datasets are not in it." if missing else f"{why}."


def _of_entry(entry: Entry, source: Source, *, again: bool) -> Member:
    if entry.refused or again:
        why = entry.refused or "Another dataset reads this file already."
        return Member(name=source.name, why=why)
    try:
        look = _Look(source)
    except AdapteryError as exc:
        return Member(name=source.name, why=exc.message)
    if look.shape.container == "txt":
        mapping = look.mapping("text", {}, member=source.name)
    else:
        there = {seen.name for seen in look.seen}
        needed = REQUIRED_FIELDS[entry.format]
        columns = {n: c for n, c in entry.columns.items() if c in there or n in needed}
        mapping = look.mapping(entry.format, columns, member=source.name)
        mapping = mapping.model_copy(update={"tags": entry.tags})
    return Member(
        name=source.name,
        mapping=mapping,
        confident=not look.doubt,
        why=f"{INFO_NAME} describes it as {entry.name}.",
        columns=_columns(look.seen, mapping.columns),
    )


def _wrong_columns(seen: Sequence[Column]) -> InvalidInputError:
    names = ", ".join(shown_columns([column.name for column in seen])[:_COLUMNS_SHOWN]) or "none"
    problem = FieldProblem(
        "columns",
        f"are of no known format (found: {names}).",
        "Alpaca has instruction and output, ShareGPT has conversations or messages, text has text;"
        " or say which column is what in a mapping.",
    )
    return InvalidInputError("The format of the file is not known.", errors=[problem])

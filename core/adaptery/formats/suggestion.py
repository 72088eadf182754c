"""Suggests how a file is to be read, and says why, so that the user can confirm or change it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adaptery.errors import AdapteryError, FieldProblem, InvalidInputError, TooLargeError
from adaptery.formats.archives import open_archive
from adaptery.formats.containers import container_of
from adaptery.formats.folders import INFO_NAME, Entry, entries_of, open_folder
from adaptery.formats.looks import Look
from adaptery.formats.rows import shown_columns
from adaptery.formats.sources import Source, source_of
from adaptery.schemas.mappings import (
    PARTS_LIMIT,
    REQUIRED_FIELDS,
    Column,
    Container,
    Format,
    Mapping,
    MappingField,
    Member,
    Suggestion,
)

__all__ = ["detect_format", "mapping_for", "suggest"]

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
    return Look(source, format).suggestion()


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
    if len(parts) > PARTS_LIMIT:
        raise TooLargeError(
            f"More than {PARTS_LIMIT} files of the archive hold records.",
            hint="pack them in several archives",
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
        told = Look(source, format).suggestion(source.name)
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
    if missing:
        why += f"; {missing} {'dataset is' if missing == 1 else 'datasets are'} not in it"
    return members, f"{why}."


def _of_entry(entry: Entry, source: Source, *, again: bool) -> Member:
    if entry.refused or again:
        why = entry.refused or "Another dataset reads this file already."
        return Member(name=source.name, why=why)
    try:
        look = Look(source)
    except AdapteryError as exc:
        return Member(name=source.name, why=exc.message)
    if look.shape.container == "txt":
        mapping = look.mapping("text", {}, member=source.name)
    else:
        there = {seen.name for seen in look.seen}
        needed = REQUIRED_FIELDS[entry.format]
        columns: dict[MappingField, str] = {
            n: c for n, c in entry.columns.items() if c in there or n in needed
        }
        mapping = look.mapping(entry.format, columns, source.name, entry.tags)
    return Member(
        name=source.name,
        mapping=mapping,
        confident=not look.doubt,
        why=f"{INFO_NAME} describes it as {entry.name}.",
        columns=look.columns(mapping.columns),
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

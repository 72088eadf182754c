"""Folders of files, and LLaMA-Factory's `dataset_info.json` in them or in an archive.

The file tells, for each dataset, the file and what its columns and roles are called. What it says
is taken over into mappings; datasets whose files are not there (they name a hub) are left out.

Source: LLaMA-Factory, data/README.md and src/llamafactory/data/parser.py (commit ff6d4d1).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from collections.abc import Mapping as AnyMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, cast

from adaptery.errors import InvalidInputError, TooLargeError
from adaptery.formats.archives import check_member_name, shown_name
from adaptery.formats.limits import MEMBERS_LIMIT, RECORD_LIMIT_BYTES
from adaptery.formats.rows import RowError, parse_object
from adaptery.formats.sources import Source
from adaptery.schemas.mappings import Format, MappingField, Tags

__all__ = ["INFO_NAME", "Entry", "entries_of", "open_folder"]

INFO_NAME: Final = "dataset_info.json"
_MEDIA: Final = ("images", "videos", "audios")
_TAG_NAMES: Final = frozenset(Tags.model_fields)
#: LLaMA-Factory's names of columns, ours, and what they are called if the file does not say.
_ALPACA: Final[tuple[tuple[str, MappingField, str | None], ...]] = (
    ("prompt", "instruction", "instruction"),
    ("query", "input", "input"),
    ("response", "output", "output"),
    ("history", "history", None),
)
_TURNS: Final[tuple[tuple[str, MappingField, str | None], ...]] = (
    ("messages", "messages", "conversations"),
)
_BOTH: Final[tuple[tuple[str, MappingField, str | None], ...]] = (
    ("system", "system", None),
    ("tools", "tools", None),
    ("chosen", "chosen", None),
    ("rejected", "rejected", None),
    ("kto_tag", "label", None),
)


@dataclass(frozen=True)
class Entry:
    """One dataset of `dataset_info.json`."""

    name: str
    file: str  # as the archive or folder names it
    format: Format
    columns: AnyMapping[MappingField, str]
    tags: Tags
    #: Why it is not read, if it is not.
    refused: str = ""


@contextmanager
def open_folder(path: Path) -> Generator[list[Source]]:
    """Give the files of a folder, by their paths in it; links and hidden files are passed over.

    Raises:
        TooLargeError: if it holds more files than an archive may.
        OSError: if it cannot be read.
    """
    found: list[Source] = []
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if file.is_symlink() or not file.is_file() or any(p.startswith(".") for p in inside.parts):
            continue
        if len(found) == MEMBERS_LIMIT:
            raise TooLargeError(f"The folder holds more than {MEMBERS_LIMIT} files.")
        name = inside.as_posix()
        found.append(Source(name, lambda file=file: file.open("rb"), file, shown_name(name)))
    yield found


def entries_of(info: Source, sources: Sequence[Source]) -> tuple[list[Entry], int]:
    """Return the datasets of a `dataset_info.json` whose files are there, and how many are not.

    Raises:
        InvalidInputError: if it is no such file, or leads out of its folder.
    """
    with info.open() as stream:
        text = stream.read(RECORD_LIMIT_BYTES + 1)
    try:
        if len(text) > RECORD_LIMIT_BYTES:
            raise RowError("", "is too large.")
        described = parse_object(text.removeprefix(b"\xef\xbb\xbf"))
    except RowError as exc:
        raise InvalidInputError(
            f"The file {INFO_NAME} cannot be read: it {exc.problem.reason}", hint="correct it"
        ) from None
    folder = PurePosixPath(info.name).parent
    names = [source.name for source in sources if source.name != info.name]
    entries: list[Entry] = []
    missing = 0
    for name, value in described.items():
        fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        files = _files(fields.get("file_name"), folder, names)
        missing += not files
        entries += [_entry(name, file, fields) for file in files]
    return entries, missing


def _files(file_name: object, folder: PurePosixPath, names: Sequence[str]) -> list[str]:
    if not isinstance(file_name, str) or not file_name:
        return []
    check_member_name(file_name)
    path = (folder / file_name).as_posix()
    return [name for name in names if name == path or name.startswith(f"{path}/")]


def _entry(name: str, file: str, fields: AnyMapping[str, object]) -> Entry:
    turns = fields.get("formatting", "alpaca") in ("sharegpt", "openai")
    named = _texts(fields.get("columns"))
    columns: dict[MappingField, str] = {}
    for theirs, ours, default in (*_TURNS, *_BOTH) if turns else (*_ALPACA, *_BOTH):
        if (column := named.get(theirs, default)) is not None:
            columns[ours] = column
    refused = ""
    if any(medium in named for medium in _MEDIA):
        refused = "It has images, videos or audios; records are text only."
    format = _format(fields, named, turns=turns)
    return Entry(name, file, format, _of_format(format, columns), _tags(fields), refused)


def _format(fields: AnyMapping[str, object], named: AnyMapping[str, str], *, turns: bool) -> Format:
    if "kto_tag" in named:
        return "kto"
    if fields.get("ranking") is True:
        return "preference"
    if turns:
        return "openai" if _texts(fields.get("tags")).get("role_tag") == "role" else "sharegpt"
    return "text" if set(named) == {"prompt"} else "alpaca"


def _of_format(format: Format, columns: dict[MappingField, str]) -> AnyMapping[MappingField, str]:
    if format == "text":
        return {"text": columns["instruction"]}
    if format == "preference":
        columns = {"chosen": "chosen", "rejected": "rejected", **columns}
        return {name: column for name, column in columns.items() if name not in ("output", "label")}
    kept = ("chosen", "rejected") if format == "kto" else ("chosen", "rejected", "label")
    return {name: column for name, column in columns.items() if name not in kept}


def _tags(fields: AnyMapping[str, object]) -> Tags:
    named = _texts(fields.get("tags"))
    return Tags.model_validate({key: named[key] for key in named.keys() & _TAG_NAMES})


def _texts(value: object) -> dict[str, str]:
    items = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    return {key: text for key, text in items.items() if isinstance(text, str) and text}

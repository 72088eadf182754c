"""How an uploaded file is read: its format, its container, and which column is what.

A `Mapping` is suggested from the file (`adaptery.formats.suggest`), confirmed or changed by the
user, stored with the file and given to `adaptery.formats.read_records`.

What always holds:
- A mapping that passed here can be stored and used later; only the file decides whether it fits.
- It names codecs, never code: encodings and separators come from lists.
"""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from typing import Annotated, Final, Literal, cast, get_args

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from adaptery.schemas.common import Answer, Model

__all__ = [
    "CONTAINERS",
    "FIELDS",
    "FORMATS",
    "REQUIRED_FIELDS",
    "Chunks",
    "Column",
    "Container",
    "Encoding",
    "Format",
    "LabelValues",
    "Mapping",
    "MappingField",
    "Member",
    "Suggestion",
    "Tags",
]

Format = Literal["alpaca", "sharegpt", "openai", "prompt", "preference", "kto", "text"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
Container = Literal["json", "jsonl", "csv", "tsv", "parquet", "arrow", "txt", "zip", "folder"]
CONTAINERS: Final[tuple[Container, ...]] = get_args(Container)
#: The codecs that real data files come in. Others (`idna`, `unicode_escape`, ...) are no text.
Encoding = Literal[
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "latin-1",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp437",
    "cp850",
    "mac-roman",
    "iso-8859-2",
    "iso-8859-15",
    "koi8-r",
    "gb18030",
    "big5",
    "shift_jis",
    "euc-jp",
    "euc-kr",
]
#: Our names of what a column can hold.
MappingField = Literal[
    "instruction",
    "input",
    "output",
    "system",
    "history",
    "messages",
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "label",
    "tools",
    "text",
]
#: The fields that each format reads.
FIELDS: Final[AnyMapping[Format, tuple[MappingField, ...]]] = {
    "alpaca": ("instruction", "input", "output", "system", "history", "tools"),
    "sharegpt": ("messages", "system", "tools"),
    "openai": ("messages", "system", "tools"),
    "prompt": ("instruction", "prompt", "completion", "system", "tools"),
    "preference": (
        *("messages", "instruction", "input", "prompt", "history"),
        *("chosen", "rejected", "system", "tools"),
    ),
    "kto": (
        *("messages", "instruction", "input", "output", "prompt", "completion", "history"),
        *("label", "system", "tools"),
    ),
    "text": ("text",),
}
#: The fields without which a format cannot be read.
REQUIRED_FIELDS: Final[AnyMapping[Format, tuple[MappingField, ...]]] = {
    "alpaca": ("output",),
    "sharegpt": ("messages",),
    "openai": ("messages",),
    "prompt": ("prompt", "completion"),
    "preference": ("chosen", "rejected"),
    "kto": ("label",),
    "text": ("text",),
}

#: Characters. Real column names and paths are far shorter.
NAME_LIMIT = 200
#: Characters of a fixed text, such as an instruction.
CONSTANT_LIMIT = 8_000
#: Files of one archive or folder that are read.
PARTS_LIMIT = 200
#: Tokens (or paragraphs) of one chunk.
CHUNK_LIMIT = 100_000

#: A column, or the way to it in nested data, with dots: `input.messages`.
ColumnPath = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LIMIT)]
MemberName = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Constant = Annotated[str, StringConstraints(max_length=CONSTANT_LIMIT)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LIMIT)]


def _as_words(value: object) -> object:
    return (value,) if isinstance(value, str) else value


#: One word or a list of them; empty stands for the words that are in general use.
Words = Annotated[tuple[Word, ...], BeforeValidator(_as_words), Field(max_length=20)]


class Tags(Model):
    """What the turns of a conversation call their parts. What is left out keeps its usual words."""

    role_tag: Word | None = Field(default=None, description="the key of the role: from, role")
    content_tag: Word | None = Field(default=None, description="the key of the text: value")
    user_tag: Words = Field(default=(), description="roles that are the user's")
    assistant_tag: Words = Field(default=(), description="roles that are the assistant's")
    observation_tag: Words = Field(default=(), description="roles that are a tool's answer")
    function_tag: Words = Field(default=(), description="roles whose text is a call of a tool")
    system_tag: Words = Field(default=(), description="roles that are the system's")


class LabelValues(Model):
    """What a column of labels (KTO) calls good and bad, whatever its case."""

    good: Words = ("true", "1", "yes", "good", "desirable", "chosen", "up", "thumbs_up")
    bad: Words = ("false", "0", "no", "bad", "undesirable", "rejected", "down", "thumbs_down")


class Chunks(Model):
    """How a plain text is cut into records."""

    by: Literal["paragraph", "tokens"] = "paragraph"
    size: int = Field(
        default=1, ge=1, le=CHUNK_LIMIT, description="paragraphs or tokens of one record"
    )
    overlap: int = Field(
        default=0, ge=0, lt=CHUNK_LIMIT, description="of them, repeated from the record before"
    )

    @model_validator(mode="after")
    def _check_overlap(self) -> Chunks:
        # Each token is in size / (size - overlap) records: at most in four.
        if self.overlap * 4 > self.size * 3:
            raise ValueError("overlap must be at most three quarters of size")
        return self


class Mapping(Model):
    """How to read a file. Make it with `suggest`, and change what it guessed wrong."""

    format: Format
    container: Container
    columns: dict[MappingField, ColumnPath] = Field(
        default={}, description="our field: the column, or dotted path, that holds it"
    )
    constants: dict[MappingField, Constant] = Field(
        default={},
        description='a text for every record, such as {"instruction": "Summarise the dialogue."}',
    )
    tags: Tags = Tags()
    values: LabelValues = LabelValues()
    chunks: Chunks | None = Field(default=None, description="of plain text only")
    records: ColumnPath | None = Field(
        default=None, description="JSON only: the dotted path of the list of records, such as data"
    )
    encoding: Encoding | None = Field(default=None, description="UTF-8 if absent")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        default=None, description="CSV only; a comma if absent"
    )
    member: MemberName | None = Field(
        default=None, description="the file inside an archive or folder that this is about"
    )
    parts: tuple[Mapping, ...] = Field(
        default=(),
        max_length=PARTS_LIMIT,
        description="of an archive or folder: how each file in it is read, by `member`",
    )

    @model_validator(mode="after")
    def _check_parts(self) -> Mapping:
        if self.container in ("zip", "folder"):
            for part in self.parts:
                if part.member is None or part.parts or part.container in ("zip", "folder"):
                    raise ValueError("each part names its member and is no archive itself")
        elif self.parts:
            raise ValueError("only an archive or a folder has parts")
        if self.chunks is not None and self.container not in ("txt", "zip", "folder"):
            raise ValueError("only plain text is cut into chunks")
        return self

    @model_validator(mode="after")
    def _check_fields(self) -> Mapping:
        known = cast("set[str]", set(FIELDS[self.format]))
        if unknown := sorted({*self.columns, *self.constants} - known):
            raise ValueError(
                f"{unknown[0]} is no field of {self.format}, which has {', '.join(sorted(known))}"
            )
        return self


class Column(Answer):
    """A column that the first records of a file have."""

    name: str
    holds: str = Field(description="text, number, true or false, list, messages, object, nothing")
    used_as: MappingField | None = Field(
        default=None, description="our field; null: it is not used"
    )


class Member(Answer):
    """A file inside an archive or folder, and how it would be read."""

    name: str
    mapping: Mapping | None = Field(default=None, description="null: it is not read, see `why`")
    confident: bool = False
    why: str
    columns: tuple[Column, ...] = ()


class Suggestion(Answer):
    """How a file would be read, and why; the user confirms it or changes it."""

    mapping: Mapping | None = Field(
        default=None, description="null: nothing fits, the columns must be mapped by hand"
    )
    container: Container
    confident: bool = Field(
        description="whether the names leave no doubt; otherwise ask before importing"
    )
    why: str
    columns: tuple[Column, ...] = ()
    members: tuple[Member, ...] = ()

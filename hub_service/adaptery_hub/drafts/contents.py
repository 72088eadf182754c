"""What the log of edits keeps of the records that an edit changed, packed.

Changes are packed some hundred at a time: texts of one dataset resemble each other, and a batch may
have removed a hundred thousand.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

#: Changes that are packed together, and characters: whoever reads one unpacks them all.
PACK_CHANGES = 256
PACK_CHARACTERS = 1024 * 1024
#: zlib's fastest levels are as good as its best ones on text of this kind, within some percent.
_LEVEL = 3


class State(NamedTuple):
    """What is known of a record besides its content."""

    edits: int = 0  # of it that stand
    language: str | None = None
    flags: int = 0  # a bit for each of QUALITY_FLAGS
    group: int | None = None  # of near-duplicates
    split: str | None = None


NOTHING_KNOWN = State()


@dataclass(frozen=True)
class Change:
    """What an edit did to one record."""

    position: int
    before: str | None  # the record as JSON; None: there was none
    after: str | None
    file: str | None
    created_at: str  # of the record
    state: State = NOTHING_KNOWN  # before the edit; of an added record, after it
    split: str | None = None  # after an edit that gave it to a split; the content is left alone

    @property
    def has_content(self) -> bool:
        """Whether it says what a record held."""
        return self.before is not None or self.after is not None

    @property
    def characters(self) -> int:
        """Characters of what it holds."""
        return len(self.before or "") + len(self.after or "")


def pack(changes: Iterable[Change]) -> bytes:
    """Return changes of records of one file, which is not kept in them."""
    rows = [(c.position, c.before, c.after, c.created_at, list(c.state), c.split) for c in changes]
    return zlib.compress(json.dumps(rows, ensure_ascii=False).encode(), _LEVEL)


def unpack(data: bytes, file: str | None) -> Iterator[Change]:
    """Yield the changes again."""
    for position, before, after, created_at, state, split in json.loads(zlib.decompress(data)):
        yield Change(position, before, after, file, created_at, State(*state), split)

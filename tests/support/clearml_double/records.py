"""What the stand-in knows: tasks and projects, and how they are asked for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]

#: Fields of a task that may be given when it is made or edited.
TASK_FIELDS = frozenset(
    {
        *("name", "type", "project", "comment", "tags", "system_tags", "parent", "script"),
        *("runtime", "hyperparams", "configuration", "execution", "output_dest", "input"),
        *("container", "output", "models"),
    }
)
#: By what tasks can be found, and what else such a question may hold.
_FILTERS = frozenset({"id", "name", "project", "tags", "system_tags", "type", "status", "parent"})
_OTHERS = frozenset(
    {
        *("only_fields", "search_hidden", "page", "page_size", "order_by", "method"),
        *(
            "_allow_extra_fields_",
            "_any_",
            "scroll_id",
            "size",
            "include_subprojects",
            "shallow_search",
        ),
    }
)


class Refused(Exception):
    """What ClearML answers with an error: HTTP status, its own code, and a message."""

    def __init__(self, status: int, subcode: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.subcode = subcode


class Records:
    """Tasks or projects, by id."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.rows: dict[str, Document] = {}

    def add(self, fields: Mapping[str, Any]) -> Document:
        """Keep a new one."""
        at = datetime.now(UTC).isoformat()
        row = {"id": secrets.token_hex(16), "created": at, "last_update": at, **fields}
        self.rows[row["id"]] = row
        return row

    def get(self, id: str) -> Document:
        """Return one."""
        if id not in self.rows:
            raise Refused(400, 101, f"Invalid {self.kind} id")
        return self.rows[id]

    def find(self, question: Mapping[str, Any]) -> list[Document]:
        """Return those that a question is about."""
        if unknown := set(question) - _FILTERS - _OTHERS:
            raise Refused(400, 12, f"the stand-in knows no filter {sorted(unknown)}")
        tests = [_TESTS.get(name, _is_in)(name, question[name]) for name in _FILTERS & set(question)
                 if question[name] is not None]  # fmt: skip
        found = [row for row in self.rows.values() if all(test(row) for test in tests)]
        size = question.get("page_size") or len(found) or 1
        first = (question.get("page") or 0) * size
        return [_only(row, question.get("only_fields")) for row in found[first : first + size]]


def _only(row: Document, fields: Sequence[str] | None) -> Document:
    if not fields:
        return row
    names = {"id", *(name.partition(".")[0] for name in fields)}
    return {name: value for name, value in row.items() if name in names}


Test = Callable[[Document], bool]


def _is_in(field: str, wanted: Any) -> Test:
    values = wanted if isinstance(wanted, list) else [wanted]
    return lambda row: row.get(field) in values


def _matches(field: str, wanted: Any) -> Test:
    return lambda row: re.search(str(wanted), str(row.get(field))) is not None


def _has_tags(field: str, wanted: Any) -> Test:
    """Tags with ClearML's signs: `__$all`, `__$not` before one, `-` in front of one."""
    some: set[str] = set()
    none: set[str] = set()
    every = negated = False
    for word in wanted:
        if word == "__$all":
            every = True
        elif word == "__$any":
            every = False
        elif word == "__$not":
            negated = True
        else:
            (none if negated or word.startswith("-") else some).add(word.removeprefix("-"))
            negated = False

    def test(row: Document) -> bool:
        held = set(row.get(field) or ())
        wanted_found = some <= held if every else not some or bool(some & held)
        return wanted_found and not none & held

    return test


_TESTS: dict[str, Callable[[str, Any], Test]] = {
    "name": _matches,
    "tags": _has_tags,
    "system_tags": _has_tags,
}

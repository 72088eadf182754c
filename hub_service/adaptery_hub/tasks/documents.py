"""The files of an administrator: YAML data in which every value knows its line.

Invariants:
- What is read is data: plain mappings, lists and scalars; no tags, no anchors and aliases.
- A key that stands twice in one mapping is refused, as one of its values would go missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml
from pydantic import ValidationError

from adaptery.errors import FieldProblem, SpecError
from adaptery.schemas.common import field_problems

FILE_LIMIT_BYTES = 256 * 1024
DEPTH_LIMIT = 10  # an option of a task has four

#: libyaml's, where it is there: it reads twenty times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: The keys and positions that lead to a value.
Place = tuple[int | str, ...]


@dataclass(frozen=True)
class Document:
    """One file: what it says, and on which line."""

    name: str  # as people are told of it: no path of this machine
    data: Mapping[str, object]
    lines: Mapping[Place, int]

    def where(self, place: Place) -> str:
        """Returns the file, the line and the key of a place; the line of what it would be in."""
        stated = place
        while stated not in self.lines:
            stated = stated[:-1]
        key = ".".join(map(str, place))
        return f"{self.name}:{self.lines[stated]}{' ' if key else ''}{key}"


class Sources:
    """The files that say what a task is, its own first, and what is wrong with them."""

    def __init__(self, *documents: Document) -> None:
        self._documents = documents
        self._problems: list[FieldProblem] = []

    def note(self, place: Place, reason: str, remedy: str) -> None:
        """Takes a problem at a place, in the first file that says what is there."""
        said = next((file for file in self._documents if place in file.lines), self._documents[0])
        self._problems.append(FieldProblem(said.where(place), reason, remedy))

    def note_all(self, within: Place, problem: ValidationError) -> None:
        """Takes what is wrong with the data at a place."""
        for entry in field_problems(problem):
            self.note((*within, *entry.where.split(".")), entry.reason, entry.remedy)

    def check(self) -> None:
        """Ends the reading if anything is wrong.

        Raises:
            SpecError: Something is; names each fault.
        """
        if self._problems:
            raise self.refusal()

    def refusal(self) -> SpecError:
        """Returns what is wrong as an error."""
        return SpecError("A task file cannot be used.", errors=self._problems)


def read_document(path: Path, name: str) -> Document:
    """Reads one file.

    Raises:
        SpecError: The file is too large, cannot be read, or is not a mapping in YAML.
    """
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise _refused(name, "is too large", f"at most {FILE_LIMIT_BYTES:,} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise _refused(name, f"cannot be read: {error.strerror}", "check its rights") from None
    except UnicodeDecodeError:
        raise _refused(name, "is not UTF-8 text", "save it as UTF-8") from None
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """Reads the text of one file.

    Raises:
        SpecError: It is not a mapping in YAML.
    """
    try:
        _refuse_excess(text, name)
        root = yaml.compose(text, Loader=_Loader)
        if not isinstance(root, yaml.MappingNode):
            raise _refused(f"{name}:1", "is not a mapping", "write `key: value` lines")
        lines = dict(_lines(root, (), name))
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        reason = f"is not valid YAML: {problem.problem}"
        raise _refused(f"{name}:{line}", reason, "check colons, quotes and indents") from None
    except (yaml.YAMLError, ValueError):
        raise _refused(name, "is not valid YAML", "check for control characters") from None
    return Document(name, cast("Mapping[str, object]", data), lines)


def _refuse_excess(text: str, name: str) -> None:
    """Refuses what would grow or nest without end while it is read."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        where = f"{name}:{event.start_mark.line + 1}"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_LIMIT:
            raise _refused(where, "nests too deeply", f"at most {DEPTH_LIMIT} levels")
        if isinstance(event, yaml.AliasEvent):
            remedy = "share options through a file in sections/ and `uses`"
            raise _refused(where, "uses an alias", remedy)


def _lines(node: yaml.Node, place: Place, name: str) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for position, entry in enumerate(node.value):
            yield from _lines(entry, (*place, position), name)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(f"{name}:{line}", "has a key that is no text", "write one word")
            if key.value in seen:
                raise _refused(f"{name}:{line} {key.value}", "stands twice", "remove one")
            seen.add(key.value)
            for inner, where in _lines(value, (*place, key.value), name):
                # A mapping begins where its key does, not at its first entry.
                yield inner, line if inner == (*place, key.value) else where


def _refused(where: str, reason: str, remedy: str) -> SpecError:
    return SpecError("A task file cannot be used.", errors=[FieldProblem(where, reason, remedy)])

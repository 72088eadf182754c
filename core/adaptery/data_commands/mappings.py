"""How a file is read: told in words, kept in a JSON file."""

from __future__ import annotations

from pathlib import Path

from adaptery.errors import InvalidInputError
from adaptery.files import write_atomic
from adaptery.schemas.common import parse_json
from adaptery.schemas.mappings import Mapping, Suggestion
from adaptery.terminal import say

__all__ = ["read_mapping", "tell", "write_mapping"]

LIMIT_BYTES = 1024 * 1024
_MODE = 0o644  # no secret, and no content of a record


def read_mapping(path: Path) -> Mapping:
    """Return the mapping that a file holds.

    Raises:
        InvalidInputError: if there is none, or it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LIMIT_BYTES + 1)
    except OSError:
        raise InvalidInputError(
            "The file of the mapping cannot be read.", hint="check the path"
        ) from None
    if len(content) > LIMIT_BYTES:
        raise InvalidInputError("The file of the mapping is too large to be one.")
    return parse_json(Mapping, content)


def write_mapping(path: Path, mapping: Mapping) -> None:
    """Write a mapping so that `read_mapping` reads it.

    Raises:
        InvalidInputError: if the file cannot be written.
    """
    text = mapping.model_dump_json(indent=2, exclude_defaults=True) + "\n"
    try:
        write_atomic(path, text.encode(), mode=_MODE)
    except OSError:
        raise InvalidInputError("The mapping cannot be written there.") from None


def tell(suggestion: Suggestion) -> None:
    """Say how the file is read, where that is not what its names say."""
    for member in suggestion.members:
        read_as = member.mapping.format if member.mapping is not None else "not read"
        say(f"{member.name}: {read_as}. {member.why}")
    if not suggestion.confident:
        say(suggestion.why)
    mapping = suggestion.mapping
    if mapping is not None and not suggestion.confident and not mapping.parts:
        columns = ", ".join(f"{name} = {column}" for name, column in mapping.columns.items())
        say(f"read as {mapping.format}: {columns}")

"""Schemas of callers: what would keep an engine busy for hours is refused before it gets there."""

import pytest
from pydantic import TypeAdapter, ValidationError

from adaptery.schemas.chat_tools import COMBINED_PATTERNS_LIMIT, JsonSchema

SCHEMA = TypeAdapter(JsonSchema)
MANY = COMBINED_PATTERNS_LIMIT + 1


def text(number: int) -> dict[str, object]:
    return {"type": "string", "pattern": f"^.*a.{{{number}}}b.*$"}


def chain(word: str) -> dict[str, object]:
    """Each pattern beside alternatives that hold the next one."""
    part = text(0)
    for number in range(1, MANY):
        part = {**text(number), word: [part]}
    return part


def references() -> dict[str, object]:
    parts = {f"d{n}": {**text(n), "$ref": f"#/$defs/d{n + 1}"} for n in range(MANY)}
    return {"$defs": {**parts, f"d{MANY}": text(MANY)}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [text(n) for n in range(MANY)]},
        {"allOf": [{"properties": {"a": text(n)}} for n in range(MANY)]},
        {"allOf": [{"type": "string", "format": "email"}] * MANY},
        {"allOf": [{"patternProperties": {f"^{n}": {} for n in range(MANY)}}]},
        {"anyOf": [{}], "oneOf": [{"properties": {"a": text(n)}} for n in range(MANY)]},
        {"allOf": [{"type": "integer", "multipleOf": n} for n in (2, 3, 5, 7)]},
        references(),
        chain("anyOf"),
        chain("oneOf"),
    ],
)
def test_many_patterns_that_hold_together_are_refused(schema: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="patterns and formats"):
        SCHEMA.validate_python(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"p{n}": text(n) for n in range(50)}},
        {"anyOf": [text(n) for n in range(50)], "title": "one of many"},
        {"properties": {n: {"$ref": "#/$defs/t", "description": n} for n in "ab"}, "$defs": {}},
        {"allOf": [text(n) for n in range(COMBINED_PATTERNS_LIMIT)]},
        {"properties": {"pattern": {"type": "string"}, "allOf": {"type": "string"}}},
    ],
)
def test_patterns_that_stand_alone_are_taken(schema: dict[str, object]) -> None:
    assert SCHEMA.validate_python(schema) == schema

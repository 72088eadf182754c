"""What binds the form of an answer: tools that a model may call, and `response_format`.

Both hold JSON Schemas of the caller, which an engine compiles into a grammar. Their size, depth and
references are limited here, before anything walks through them: what a tenant writes must not cost
the others an engine.

Source: OpenAI API reference, chat/completions, `tools`, `tool_choice` and `response_format`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from adaptery.schemas.chat_messages import NAME_PATTERN, FunctionName, Lenient

__all__ = ["TOOLS_LIMIT", "JsonSchema", "NamedTool", "ResponseFormat", "Tool", "ToolChoice"]

TOOLS_LIMIT = 128
DESCRIPTION_CHARACTERS = 16_384
SCHEMA_CHARACTERS = 65_536  # written as compact JSON
#: Levels of JSON; each level of a nested object takes two. A sealed message has no more than 64.
SCHEMA_DEPTH = 40

#: Regular expressions of a schema whose parts hold together: their product is what an engine has to
#: look through, and twice as much with each. Twenty take llguidance seconds, thirty hours.
COMBINED_PATTERNS_LIMIT = 12
#: A `multipleOf` is a large expression, and counts for so many.
MULTIPLE_PATTERNS = 4
_ALTERNATIVES = ("anyOf", "oneOf")
#: What may stand beside a reference or alternatives and asks for nothing.
_NOTES = frozenset(
    {"$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description"}
    | {"examples", "readOnly", "title", "writeOnly"}
)
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

Json = dict[str, JsonValue]


def _bounded_schema(value: object) -> object:
    if not isinstance(value, dict):
        return value
    _check_part(cast("dict[str, object]", value), SCHEMA_DEPTH)
    if len(json.dumps(value, separators=(",", ":"))) > SCHEMA_CHARACTERS:
        raise ValueError(f"is longer than {SCHEMA_CHARACTERS} characters")
    parts = list(_objects(cast("dict[str, object]", value)))
    if any(map(_combines, parts)) and sum(map(_patterns, parts)) > COMBINED_PATTERNS_LIMIT:
        raise ValueError(
            f"combines parts (allOf, or beside anyOf, oneOf or $ref) and has more than "
            f"{COMBINED_PATTERNS_LIMIT} patterns and formats, of which multipleOf is "
            f"{MULTIPLE_PATTERNS}"
        )
    return cast("object", value)


def _check_part(part: object, levels_left: int) -> None:
    if not levels_left:
        raise ValueError(f"is nested deeper than {SCHEMA_DEPTH} levels")
    if isinstance(part, dict):
        fields = cast("dict[str, object]", part)
        for name in _REFERENCES:
            target = fields.get(name)
            if isinstance(target, str) and not target.startswith("#"):
                raise ValueError(f"has a {name} out of itself; begin it with #")
        for item in fields.values():
            _check_part(item, levels_left - 1)
    elif isinstance(part, list):
        for item in cast("list[object]", part):
            _check_part(item, levels_left - 1)


def _objects(part: object) -> Iterator[Mapping[str, object]]:
    if isinstance(part, dict):
        fields = cast("dict[str, object]", part)
        yield fields
        for item in fields.values():
            yield from _objects(item)
    elif isinstance(part, list):
        for item in cast("list[object]", part):
            yield from _objects(item)


def _combines(part: Mapping[str, object]) -> bool:
    """Tell whether what this part asks for holds together with what another asks for."""
    if isinstance(part.get("allOf"), list):
        return True
    ways = [name for name in _ALTERNATIVES if isinstance(part.get(name), list)]
    ways += [name for name in _REFERENCES if isinstance(part.get(name), str)]
    return bool(ways) and bool(len(ways) > 1 or part.keys() - _NOTES - {*ways})


def _patterns(part: Mapping[str, object]) -> int:
    """Count the regular expressions of a part, not of those in it."""
    keyed = part.get("patternProperties")
    named = sum(isinstance(part.get(name), str) for name in ("pattern", "format"))
    named += MULTIPLE_PATTERNS * isinstance(part.get("multipleOf"), int | float)
    return named + (len(cast("dict[str, object]", keyed)) if isinstance(keyed, dict) else 0)


#: A JSON Schema of the caller. Nothing outside of it is ever fetched.
JsonSchema = Annotated[Json, BeforeValidator(_bounded_schema)]


class FunctionDefinition(Lenient):
    """A function that a model may call."""

    name: FunctionName
    description: Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS)] | None = None
    parameters: JsonSchema | None = None
    strict: bool | None = None


class Tool(Lenient):
    """One tool; functions only."""

    type: Literal["function"]
    function: FunctionDefinition

    def to_dict(self) -> Json:
        """Return the tool as the engine takes it."""
        return {"type": "function", "function": _present(self.function)}


class NamedTool(Lenient):
    """The one tool that has to be called."""

    class Function(Lenient):
        """Its function."""

        name: FunctionName

    type: Literal["function"]
    function: Function

    def to_dict(self) -> Json:
        """Return the choice as the engine takes it."""
        return {"type": "function", "function": {"name": self.function.name}}


def _readable_choice(value: object) -> object:
    # Checked in one go, so that an error names the field and not a branch of the union.
    if isinstance(value, str) and value in ("none", "auto", "required"):
        return value
    match value:
        case None | NamedTool():
            return value
        case {"type": "function", "function": {"name": str(name)}} if re.match(NAME_PATTERN, name):
            return {"type": "function", "function": {"name": name}}
        case _:
            raise ValueError(
                'is none, auto, required or {"type": "function", "function": {"name": ...}}'
            )


ToolChoice = Annotated[
    Literal["none", "auto", "required"] | NamedTool, BeforeValidator(_readable_choice)
]


class NamedSchema(Lenient):
    """A JSON Schema with a name, as OpenAI has it in `response_format`."""

    name: FunctionName
    description: Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS)] | None = None
    schema_: Annotated[JsonSchema | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(Lenient):
    """The form of an answer: free text, a JSON object, or JSON that fits a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("of type json_schema needs the field json_schema")
        return self

    def to_dict(self) -> Json | None:
        """Return the format as the engine takes it; None for free text."""
        if self.type == "text":
            return None
        if self.type == "json_object" or self.json_schema is None:
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": _present(self.json_schema)}


def _present(model: Lenient) -> Json:
    fields = model.model_dump(by_alias=True, exclude_none=True)
    return dict(cast("Mapping[str, JsonValue]", fields))

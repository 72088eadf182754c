"""Options of a task on the command line: what there are, and what `--set name=value` means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.near_misses import meant
from adaptery.terminal import say
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.schemas.jobs import OptionValue
    from adaptery.schemas.tasks import Task

__all__ = ["parse_settings", "say_options"]

_WORDS: Mapping[str, bool] = {"true": True, "yes": True, "false": False, "no": False}
_OTHERS = "Others"
Schema = Mapping[str, Any]


def parse_settings(task: Task, settings: Iterable[str]) -> dict[str, OptionValue]:
    """Return the options that `name=value` words set; the service checks their bounds.

    Raises:
        InvalidInputError: a word names no option, or its value is not of the option's type.
    """
    found: dict[str, OptionValue] = {}
    options = _properties(task)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"{setting!r} is no setting.", hint="write --set name=value")
        if name not in options:
            raise InvalidInputError(f"{task.name} has no option {name}.", hint=meant(name, options))
        found[name] = _value(name, text, options[name])
    return found


def say_options(task: Task) -> None:
    """Write what a task is, and its options by section."""
    say(f"{task.name}: {task.title} (stage {task.stage})")
    say(task.description)
    if task.base_models:
        say(f"base models: {', '.join(task.base_models)}")
    options = sorted(_properties(task).items(), key=lambda it: list(_sections(task)).index(_of(it)))
    for section, group in groupby(options, key=_of):
        say(f"\n{section}")
        for line in aligned([_row(name, schema) for name, schema in group]):
            say(f"  {line}")


def _properties(task: Task) -> Mapping[str, Schema]:
    return cast("Mapping[str, Schema]", task.schema_.get("properties", {}))


def _sections(task: Task) -> Mapping[str, None]:
    """Return the sections in the order of the form."""
    return dict.fromkeys(map(_of, _properties(task).items()))


def _of(option: tuple[str, Schema]) -> str:
    return str(option[1].get("section", _OTHERS))


def _row(name: str, schema: Schema) -> Sequence[str]:
    default = schema.get("default")
    shown = "" if default is None else f"default {_written(default)}"
    return (name, _kind(schema), shown, str(schema.get("description", "")))


def _kind(schema: Schema) -> str:
    """Return what an option can be, in a few words."""
    if "enum" in schema or "const" in schema:
        return "|".join(map(_written, schema.get("enum", [schema.get("const")])))
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"] if part.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [_written(schema[key]) for key in ("minimum", "maximum") if key in schema]
    return " ".join([str(schema.get("type", "text")), "..".join(bounds)]).rstrip()


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(name: str, text: str, schema: Schema) -> OptionValue:
    types = _types(schema)
    if "array" in types and ("string" not in types or "," in text):
        return [part for part in text.split(",") if part]
    try:
        if "boolean" in types:
            return _WORDS[text.lower()]
        if "integer" in types:
            return int(text)
        if "number" in types:
            return float(text)
    except (KeyError, ValueError):
        problem = FieldProblem(f"options.{name}", f"is no {' or '.join(types)}", _kind(schema))
        raise InvalidInputError(errors=[problem]) from None
    return text


def _types(schema: Schema) -> list[str]:
    parts = schema.get("anyOf", [schema])
    return [part["type"] for part in parts if part.get("type", "null") != "null"]

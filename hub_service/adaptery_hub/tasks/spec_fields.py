"""The fields of a job's spec that a task may decide, found by their path, such as `optim.seed`.

What an option's file does not say (kind of value, bounds, choices, default) is what the spec says
of the field, and what it does say must be within that: nothing is stated twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from adaptery.schemas.spec import JobSpec

#: What a task decides; all else is resolved for the job or belongs to an attempt.
SECTIONS = ("template", "lora", "optim", "eval", "preference", "reward")
#: The weights of the judge are resolved for the job, as the versions are.
_RESOLVED = frozenset({"reward.weight_digest"})
_TYPES = {
    "integer": "integer",
    "number": "number",
    "string": "string",
    "boolean": "boolean",
    "array": "list",
}


@dataclass(frozen=True)
class SpecField:
    """One field of the spec."""

    path: str
    _adapter: TypeAdapter[Any]
    _schema: Mapping[str, Any]
    default: object

    def says(self) -> dict[str, object]:
        """Returns what the spec says of the field, in the words of an option."""
        schema = self._schema
        said = {
            "type": _TYPES.get(schema.get("type", "")),
            "minimum": schema.get("minimum"),
            "maximum": schema.get("maximum"),
            "choices": schema.get("enum"),
            "default": self.default,
        }
        if said["type"] == "integer" and "exclusiveMaximum" in schema:
            said["maximum"] = schema["exclusiveMaximum"] - 1
        return {key: value for key, value in said.items() if value is not None}

    def takes(self, value: object) -> bool:
        """Whether the field can have this value."""
        try:
            self._adapter.validate_python(value)
        except ValidationError:
            return False
        return True


@cache
def spec_fields() -> Mapping[str, SpecField]:
    """Returns all fields that a task may decide, by path."""
    found: dict[str, SpecField] = {}
    for name in SECTIONS:
        _collect(name, JobSpec.model_fields[name], found)
    return found


def _collect(path: str, info: FieldInfo, found: dict[str, SpecField]) -> None:
    model = _model_in(info.annotation)
    if model is not None:
        for name, inner in model.model_fields.items():
            _collect(f"{path}.{name}", inner, found)
    elif path not in _RESOLVED:
        adapter: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, info])  # pyright: ignore[reportArgumentType, reportInvalidTypeForm]
        default = None if info.default is PydanticUndefined else info.default
        found[path] = SpecField(path, adapter, _plain(adapter.json_schema()), default)


def _model_in(annotation: object) -> type[BaseModel] | None:
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if models else None


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of the value, where the field may also be absent."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else schema

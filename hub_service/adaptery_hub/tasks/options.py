"""The options of a task: their JSON Schema and the check of a user's values, from one definition.

One pydantic model is built per task; the form is drawn from its JSON Schema and the values are
validated by it, so that a form can never accept what the service refuses.

Invariants:
- Unknown options are refused by name, never dropped.
- A checked set of options is complete: each option with a default has a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.json_schema import SkipJsonSchema

from adaptery.errors import FieldProblem, SpecError
from adaptery.schemas.jobs import OptionValue
from adaptery_hub.tasks.definitions import OptionDefinition, TaskDefinition

_TYPES: dict[str, type] = {"integer": int, "number": float, "string": str, "boolean": bool}
STRING_OPTION_LIMIT_CHARS = 200
#: What pydantic says, in our words; every other error is a value of the wrong kind.
_REASONS = {
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "string_too_long": f"is longer than {STRING_OPTION_LIMIT_CHARS} characters",
    "missing": "is missing",
}


class TaskOptions:
    """The compiled options of one task."""

    def __init__(self, task: TaskDefinition) -> None:
        fields = {name: _field(option) for name, option in task.options.items()}
        self._task = task
        self._model: type[BaseModel] = create_model(  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
            task.name,
            __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False),
            **fields,  # pyright: ignore[reportArgumentType]
        )

    def json_schema(self) -> dict[str, object]:
        """Returns the JSON Schema from which a form is drawn, options in the order of the file."""
        schema = self._model.model_json_schema()
        for name, option in self._task.options.items():
            if option.default is None:
                schema["properties"][name].pop("default", None)
        return schema

    def check(self, values: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Returns the values completed with defaults.

        Raises:
            SpecError: A value is missing, unknown, of the wrong kind or out of bounds; names each
                one.
        """
        try:
            checked = self._model.model_validate(dict(values))
        except ValidationError as problem:
            raise SpecError(
                f"The options do not fit the task {self._task.name}.",
                errors=[
                    _explain(dict(error), self._task)
                    for error in problem.errors(include_url=False, include_context=False)
                    if error["type"] != "none_required"  # the other half of "or left out"
                ],
            ) from None
        return {name: value for name, value in checked.model_dump().items() if value is not None}


def _field(option: OptionDefinition) -> tuple[object, object]:
    kind: object = Literal[option.choices] if option.choices else _TYPES[option.type]
    # Bounds belong to the value, words to the option: a union has no bounds in JSON Schema.
    bounded: object = Annotated[
        kind,
        Field(
            ge=option.minimum,
            le=option.maximum,
            max_length=STRING_OPTION_LIMIT_CHARS if kind is str else None,
        ),
    ]
    words = Field(
        title=option.title,
        description=option.description,
        json_schema_extra={"advanced": True} if option.advanced else None,
    )
    if option.default is not None:
        return Annotated[bounded, words], option.default
    return Annotated[bounded | SkipJsonSchema[None], words], None  # pyright: ignore[reportOperatorIssue]


def _explain(error: dict[str, object], task: TaskDefinition) -> FieldProblem:
    location = error["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else ""
    option = task.options.get(name)
    if option is None:
        known = ", ".join(task.options)
        return FieldProblem(
            where=f"options.{name}", reason="unknown option", remedy=f"use one of: {known}"
        )
    reason = _REASONS.get(str(error["type"]), f"is not {_kind(option)}")
    return FieldProblem(where=f"options.{name}", reason=reason, remedy=_describe(option))


def _describe(option: OptionDefinition) -> str:
    if option.choices:
        return f"one of: {', '.join(option.choices)}"
    if option.minimum is None and option.maximum is None:
        return _kind(option)
    return f"{_kind(option)} from {option.minimum:.10g} to {option.maximum:.10g}"


def _kind(option: OptionDefinition) -> str:
    if option.choices:
        return "one of these"
    return f"an {option.type}" if option.type == "integer" else f"a {option.type}"

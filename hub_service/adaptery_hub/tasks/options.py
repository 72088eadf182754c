"""The options of a task: their JSON Schema and the check of a user's values, from one definition.

One pydantic model is built per task; the form is drawn from its JSON Schema and the values are
validated by it, so that a form can never accept what the service refuses.

Invariants:
- Unknown options are refused by name, never dropped.
- A checked set of options is complete: each option with a default has a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError

from adaptery.errors import FieldProblem, SpecError
from adaptery.near_misses import meant
from adaptery.schemas.jobs import OptionValue
from adaptery_hub.tasks.definitions import OptionDefinition, TaskDefinition

_TYPES: dict[str, type] = {"integer": int, "number": float, "string": str, "boolean": bool}
STRING_OPTION_LIMIT_CHARS = 200
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)
#: What pydantic says, in our words; every other error is a value of the wrong kind.
_REASONS = {
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "string_too_long": f"is longer than {STRING_OPTION_LIMIT_CHARS} characters",
    "too_short": "is empty",
    "too_long": "has too many entries",
    "stands_twice": "has an entry twice",
    "missing": "is missing",
}


class TaskOptions:
    """The compiled options of one task."""

    def __init__(self, task: TaskDefinition) -> None:
        self._task = task
        self._model = _compile(task.options)

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
                errors=list(dict(self._faults(problem)).values()),
            ) from None
        return {name: value for name, value in checked.model_dump().items() if value is not None}

    def _faults(self, problem: ValidationError) -> Iterator[tuple[str, FieldProblem]]:
        for name, kind in _errors(problem):
            option = self._task.options.get(name)
            yield name, _explain(name, option, kind) if option else self._unknown(name)

    def _unknown(self, name: str) -> FieldProblem:
        where = f"options.{name[:STRING_OPTION_LIMIT_CHARS]}"
        if name in self._task.hidden:
            return FieldProblem(where, "is fixed in this task", "leave it out")
        return FieldProblem(where, "unknown option", meant(name, self._task.options))


def default_faults(options: Mapping[str, OptionDefinition]) -> list[FieldProblem]:
    """Returns what is wrong with the defaults of options, by the rules for any value."""
    try:
        _compile(options).model_validate({})
    except ValidationError as problem:
        return [_explain(name, options[name], kind) for name, kind in _errors(problem)]
    return []


def _compile(options: Mapping[str, OptionDefinition]) -> type[BaseModel]:
    fields = {name: _field(option) for name, option in options.items()}
    return create_model("Options", __config__=_STRICT, **fields)  # pyright: ignore


def _errors(problem: ValidationError) -> Iterator[tuple[str, str]]:
    """Returns the option and the rule of each error."""
    for error in problem.errors(include_url=False, include_context=False, include_input=False):
        yield str(error["loc"][0]) if error["loc"] else "", error["type"]


def _field(option: OptionDefinition) -> tuple[object, object]:
    bounded = _bounded(option)
    words = Field(
        title=option.title,
        description=option.description,
        json_schema_extra={
            "section": option.section,
            "into": option.into,
            **({"advanced": True} if option.visibility == "advanced" else {}),
            **({"unit": option.unit} if option.unit else {}),
        },
    )
    if option.default is None:  # may be left out: an absent value is not validated
        return Annotated[bounded, words, Field(validate_default=False)], None
    return Annotated[bounded, words], option.default


def _bounded(option: OptionDefinition) -> object:
    """Returns the type of a value. Bounds belong to it: a union has none in JSON Schema."""
    if option.type == "list":
        entries = list[Literal[option.choices]]  # pyright: ignore[reportInvalidTypeArguments]
        return Annotated[
            entries,
            Field(
                min_length=1,
                max_length=len(option.choices or ()),
                json_schema_extra={"uniqueItems": True},
            ),
            AfterValidator(_refuse_twice),
        ]
    kind: object = Literal[option.choices] if option.choices else _TYPES[option.type]
    return Annotated[
        kind,
        Field(
            ge=option.minimum,
            le=option.maximum,
            max_length=STRING_OPTION_LIMIT_CHARS if kind is str else None,
        ),
    ]


def _refuse_twice(entries: list[str]) -> list[str]:
    if len(set(entries)) < len(entries):
        raise PydanticCustomError("stands_twice", "an entry stands twice")
    return entries


def _explain(name: str, option: OptionDefinition, error_type: str) -> FieldProblem:
    reason = _REASONS.get(error_type, f"is not {_kind(option)}")
    return FieldProblem(where=f"options.{name}", reason=reason, remedy=_describe(option))


def _describe(option: OptionDefinition) -> str:
    if option.choices:
        some = "one or several" if option.type == "list" else "one"
        return f"{some} of: {', '.join(option.choices)}"
    if option.minimum is None or option.maximum is None:
        return _kind(option)
    return f"{_kind(option)} from {option.minimum:.10g} to {option.maximum:.10g}"


def _kind(option: OptionDefinition) -> str:
    if option.type == "list":
        return "a list of these"
    if option.choices:
        return "one of these"
    return f"an {option.type}" if option.type == "integer" else f"a {option.type}"

"""`reference/tasks.md`: the fields of a job that a task may decide, and the shipped tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from adaptery.stages import STAGE_KINDS
from adaptery_hub.tasks import TaskCatalog, TaskDefinition
from adaptery_hub.tasks.definitions import OptionDefinition
from adaptery_hub.tasks.spec_fields import SpecField, spec_fields
from reference_pages.tables import Row, code, page, table

TEXT = """\
How to write a task: [Write a task](../howto/tasks.md)."""
FIELDS_TEXT = """\
What an option may go `into`, and what it takes. A task's `fixed` values have the same names."""


def make() -> str:
    """Return the page."""
    catalog = TaskCatalog.load()
    fields = [_field_row(field) for field in spec_fields().values()]
    return page(
        "Tasks",
        TEXT,
        "## Fields",
        FIELDS_TEXT,
        table(("Field", "Takes", "When nothing is said"), fields),
        *(part for task in catalog for part in _task(task)),
    )


def undescribed() -> Iterator[str]:
    """Yield nothing: a task or an option without a description is refused when it is read."""
    yield from ()


def _field_row(field: SpecField) -> Row:
    said = field.says()
    default = said.get("default")
    choices = cast("list[str]", said.get("choices", []))
    takes = " or ".join(code(choice) for choice in choices) or str(said.get("type", "list"))
    return Row(
        field.path, (takes + _bounds(said.get("minimum"), said.get("maximum")),), _shown(default)
    )


def _task(task: TaskDefinition) -> Iterator[str]:
    where = f"Stage `{task.stage}`, queue `{task.queue}`"
    kinds = " and ".join(STAGE_KINDS[task.stage])
    yield f"## `{task.name}`: {task.title}"
    yield f"{task.description} {where}; learns from {kinds} records."
    yield table(
        ("Option", "Takes", "Default", "Meaning"),
        [_option_row(name, option) for name, option in task.options.items()],
    )


def _option_row(name: str, option: OptionDefinition) -> Row:
    choices = " or ".join(code(choice) for choice in option.choices or ())
    kind = f"list of {choices}" if option.type == "list" else choices or option.type
    takes = kind + _bounds(option.minimum, option.maximum)
    return Row(name, (takes, _shown(option.default)), option.description)


def _bounds(minimum: object, maximum: object) -> str:
    if minimum is None and maximum is None:
        return ""
    if maximum is None:
        return f" from {_number(minimum)}"
    return (
        f" {_number(minimum)} to {_number(maximum)}"
        if minimum is not None
        else f" up to {_number(maximum)}"
    )


def _number(value: object) -> str:
    return f"{value:.10g}"


def _shown(value: object) -> str:
    if value is None:
        return ""
    words = value if isinstance(value, list | tuple) else [value]
    return ", ".join(
        code(str(word).lower() if isinstance(word, bool) else f"{word}") for word in words
    )

"""How files become definitions: sections that tasks share, a task's own words, the spec's bounds.

A task names the sections whose options it takes (`uses`) and may then say more of an option than
its section does, or drop it with null. What is still unsaid of an option is what the spec says of
its field.

Invariants:
- No key is skipped: what is not known is refused, with file, line and remedy.
- All problems of a file are told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from adaptery.errors import FieldProblem, SpecError
from adaptery.schemas.common import field_problems
from adaptery.schemas.spec import Stage
from adaptery_hub.tasks.definitions import (
    DEFAULT_SECTION,
    HelpText,
    NameText,
    OptionDefinition,
    OptionName,
    Part,
    SpecValue,
    TaskDefinition,
    TaskLimits,
    TitleText,
)
from adaptery_hub.tasks.documents import Document
from adaptery_hub.tasks.options import default_faults
from adaptery_hub.tasks.spec_fields import spec_fields

#: The last part of `api/tasks/problems`, which would hide a task of this name.
RESERVED = "problems"

_OptionWords = dict[str, object]
M = TypeVar("M", bound=BaseModel)


class SectionFile(Part):
    """A file in `sections/`: options that several tasks share."""

    title: TitleText
    options: dict[OptionName, _OptionWords]


class TaskFile(Part):
    """A file of one task, as it is written."""

    title: TitleText
    description: HelpText
    stage: Stage
    queue: NameText = "training"
    template: Annotated[str, Field(max_length=64)] = "model"
    base_models: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)] = ("*",)
    groups: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    start_from: bool = True
    uses: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    options: dict[OptionName, _OptionWords | None] = {}
    fixed: dict[str, SpecValue | dict[str, SpecValue | dict[str, SpecValue]]] = {}
    lora_alpha_per_rank: Annotated[float, Field(gt=0, le=1024)] = 2.0
    limits: TaskLimits = TaskLimits()


def read_task(name: str, file: Document, sections: Mapping[str, Document]) -> TaskDefinition:
    """Returns the task that a file defines.

    Raises:
        SpecError: The file is not a task, or a section that it uses is not one; names each fault.
    """
    said = _parse(TaskFile, file)
    options = _options(said, file, sections)
    fixed = dict(_flat(said.fixed))
    shown = {key: option for key, option in options.items() if option.visibility != "hidden"}
    hidden = {key: option for key, option in options.items() if option.visibility == "hidden"}
    _refuse_doubles(file, options, fixed)
    for option in hidden.values():
        if option.default is not None:
            fixed[option.into] = option.to_spec(option.default)
    try:
        task = TaskDefinition(
            name=name,
            options=shown,
            hidden=tuple(hidden),
            fixed=fixed,
            **said.model_dump(exclude={"uses", "options", "fixed"}),
        )
    except ValidationError as problem:
        raise _refused(_located(file, (), problem)) from None
    _check(task, file)
    _check_defaults(shown, [file, *(sections[name] for name in said.uses)])
    return task


def check_section(file: Document) -> None:
    """Checks a file in `sections/`, whether or not a task uses it.

    Raises:
        SpecError: It is not a section; names each fault.
    """
    section = _parse(SectionFile, file)
    _check_defaults(
        {
            name: _option(name, {**words, "section": section.title}, [file])
            for name, words in section.options.items()
        },
        [file],
    )


def _options(
    said: TaskFile, file: Document, sections: Mapping[str, Document]
) -> dict[str, OptionDefinition]:
    """Returns the options in the order of the form; where a task says more, its words win."""
    words: dict[str, _OptionWords] = {}
    files: dict[str, list[Document]] = {}
    for position, section_name in enumerate(said.uses):
        shared = sections.get(section_name)
        if shared is None:
            known = ", ".join(sorted(sections))
            reason, remedy = f"there is no sound section {section_name}", f"use one of: {known}"
            raise _refused([file.problem(("uses", position), reason, remedy)])
        section = _parse(SectionFile, shared)
        for name, shared_words in section.options.items():
            words[name] = {"section": section.title, **shared_words}
            files[name] = [shared]
    for name, own in said.options.items():
        if own is None and words.pop(name, None) is None:
            remedy = "leave the line out, or check its spelling"
            raise _refused([file.problem(("options", name), "is in no section", remedy)])
        if own is not None:
            words[name] = {**words.get(name, {"section": DEFAULT_SECTION}), **own}
            files[name] = [file, *files.get(name, ())]
    return {name: _option(name, said, files[name]) for name, said in words.items()}


def _option(name: str, words: _OptionWords, files: list[Document]) -> OptionDefinition:
    place = ("options", name)
    field = spec_fields().get(str(words.get("into")))
    if field is None:
        file = _file_of(files, (*place, "into"))
        remedy = f"use one of: {', '.join(spec_fields())}"
        raise _refused([file.problem((*place, "into"), "is no field of the spec", remedy)])
    try:
        option = OptionDefinition.model_validate({**_inherited(words, field.says()), **words})
    except ValidationError as problem:
        raise _refused(_located(files, place, problem)) from None
    for key, reason, remedy in _faults(option):
        raise _refused([_file_of(files, (*place, key)).problem((*place, key), reason, remedy)])
    return option


def _inherited(words: _OptionWords, said: dict[str, object]) -> dict[str, object]:
    """Returns what the spec says of a field, as far as it can be said of the option."""
    values = words.get("values")
    if isinstance(values, Mapping) and "type" not in words:
        if set(values) <= {True, False}:  # pyright: ignore[reportUnknownArgumentType]
            return {"type": "boolean"}
        return {"type": "string", "choices": tuple(map(str, values))}  # pyright: ignore[reportUnknownArgumentType]
    if words.get("type", said.get("type")) != said.get("type"):
        return {}
    return said


def _faults(option: OptionDefinition) -> Iterator[tuple[str, str, str]]:
    """Finds what an option would take and its field would not: key, reason, remedy."""
    field = spec_fields()[option.into]
    taken = field.says().get("type", option.type)
    if option.values is None and option.type not in (taken, "integer" if taken == "number" else ""):
        yield "type", f"is not what {option.into} takes", f"leave it out: it is {taken}"
    if option.type in ("integer", "number"):
        for key in ("minimum", "maximum"):
            if getattr(option, key) is None:
                yield key, "is missing: every number has bounds", f"add {key}"
    if option.type == "list" and not option.choices:
        yield "choices", "is missing: a list is made of choices", "add choices"
    stated: dict[str, list[SpecValue]] = {
        "default": [option.default],
        "minimum": [option.minimum],
        "maximum": [option.maximum],
        "choices": [
            [choice] if option.type == "list" else choice for choice in option.choices or ()
        ],
    }
    for key, values in stated.items():
        for value in values:
            told = None if value is None else option.to_spec(value)
            if told is not None and not field.takes(told):
                yield (
                    key,
                    f"is not what {option.into} takes",
                    f"leave it out, or see {option.into} in the reference of tasks",
                )


def _check_defaults(options: Mapping[str, OptionDefinition], files: list[Document]) -> None:
    problems: list[FieldProblem] = []
    for fault in default_faults(options):
        place = (*fault.where.split("."), "default")
        problems.append(_file_of(files, place).problem(place, fault.reason, fault.remedy))
    if problems:
        raise _refused(problems)


def _refuse_doubles(
    file: Document, options: Mapping[str, OptionDefinition], fixed: Mapping[str, SpecValue]
) -> None:
    taken: dict[str, str] = {}
    for name, option in options.items():
        if (other := taken.setdefault(option.into, name)) != name or option.into in fixed:
            reason = f"goes where {'a fixed value' if option.into in fixed else other} goes"
            remedy = "leave one of them out; null drops an option of a section"
            raise _refused([file.problem(("options", name), reason, remedy)])


def _check(task: TaskDefinition, file: Document) -> None:
    fields = spec_fields()
    for path, value in task.fixed.items():
        place = ("fixed", *path.split("."))
        if path not in fields:
            remedy = f"use one of: {', '.join(fields)}"
            raise _refused([file.problem(place, "is no field of the spec", remedy)])
        if value is not None and not fields[path].takes(value):
            raise _refused([file.problem(place, "is not what this field takes", "see the spec")])
    if not fields["template"].takes(task.template):
        raise _refused([file.problem(("template",), "is no name of a template", "use: model")])
    if task.name == RESERVED:
        raise _refused([file.problem((), "a task cannot have this name", "rename the file")])
    _check_alpha(task, file)


def _check_alpha(task: TaskDefinition, file: Document) -> None:
    """Refuses an alpha, of the largest rank, that the spec would not take."""
    rank = task.option_into("lora.rank")
    highest = task.options[rank].maximum if rank else task.fixed.get("lora.rank")
    if isinstance(highest, int | float):
        alpha = highest * task.lora_alpha_per_rank
        if not spec_fields()["lora.alpha"].takes(alpha):
            reason, remedy = f"makes an alpha of {alpha:.10g}", "lower it, or the largest rank"
            raise _refused([file.problem(("lora_alpha_per_rank",), reason, remedy)])


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, SpecValue]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield f"{prefix}{name}", value  # pyright: ignore[reportReturnType]


def _parse(schema: type[M], file: Document) -> M:
    try:
        return schema.model_validate(file.data)
    except ValidationError as problem:
        raise _refused(_located([file], (), problem)) from None


def _located(
    files: list[Document] | Document, base: tuple[str, ...], problem: ValidationError
) -> list[FieldProblem]:
    among = files if isinstance(files, list) else [files]
    found: list[FieldProblem] = []
    for entry in field_problems(problem):
        place = (*base, *entry.where.split("."))
        found.append(_file_of(among, place).problem(place, entry.reason, entry.remedy))
    return found


def _file_of(files: list[Document], place: tuple[int | str, ...]) -> Document:
    """Returns the file that says what is at a place; the task's own comes before its section's."""
    return next((file for file in files if place in file.lines), files[-1])


def _refused(problems: list[FieldProblem]) -> SpecError:
    return SpecError("A task file cannot be used.", errors=problems)

"""How files become definitions: sections that tasks share, a task's own words, the spec's bounds.

A task names the sections whose options it takes (`uses`) and may then say more of an option than
its section does, or drop it with null. What is still unsaid of an option is what the spec says of
its field.

Invariants:
- No key is skipped: what is not known is refused, with file, line and remedy.
- All problems of a file are told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from adaptery.errors import SpecError
from adaptery.schemas.jobs import OptionValue
from adaptery.schemas.spec import InputSpec, Stage
from adaptery_hub.tasks.combinations import Circumstances, check_combinations
from adaptery_hub.tasks.definitions import (
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
from adaptery_hub.tasks.documents import Document, Place, Sources
from adaptery_hub.tasks.freezing import UNKNOWN_DIGEST, freeze_spec
from adaptery_hub.tasks.options import default_faults
from adaptery_hub.tasks.spec_fields import SpecField, spec_fields

#: The last part of `api/tasks/problems`, which would hide a task of this name.
RESERVED = "problems"
#: Stand for what a job would learn from and be measured on.
_INPUTS = tuple(
    InputSpec(version=f"dv_{'0' * 26}", content_digest=UNKNOWN_DIGEST, split=split)
    for split in ("train", "validation")
)
_FIELDS_REMEDY = f"use one of: {', '.join(spec_fields())}"

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

    Args:
        name: What the task is called.
        file: Its file.
        sections: The sound sections that it may use, by name.

    Raises:
        SpecError: The file is not a task; names each fault.
    """
    own = Sources(file)
    said = _parse(TaskFile, file, own)
    for position, section in enumerate(said.uses):
        if section not in sections:
            remedy = f"use one of: {', '.join(sorted(sections))}"
            own.note(("uses", position), f"there is no sound section {section}", remedy)
    if name == RESERVED:
        own.note((), "a task cannot have this name", "rename the file")
    own.check()
    used = [sections[section] for section in said.uses]
    sources = Sources(file, *reversed(used))
    options = _options(_merge(said, used, sources), sources)
    fixed = _fixed(said, options, sources)
    _check_template(said, sources)
    sources.check()
    try:
        task = TaskDefinition(
            name=name,
            options={key: it for key, it in options.items() if it.visibility != "hidden"},
            hidden=tuple(key for key, it in options.items() if it.visibility == "hidden"),
            fixed=fixed,
            **said.model_dump(exclude={"uses", "options", "fixed"}),
        )
    except ValidationError as problem:  # the name of the file, say
        sources.note_all((), problem)
        raise sources.refusal() from None
    _check_alpha(task, sources)
    _check_defaults(task, sources)
    sources.check()
    return task


def check_section(file: Document) -> None:
    """Checks a file in `sections/`, whether or not a task uses it.

    Raises:
        SpecError: It is not a section; names each fault.
    """
    sources = Sources(file)
    _options(_parse(SectionFile, file, sources).options, sources)
    sources.check()


def _merge(
    said: TaskFile, used: Sequence[Document], sources: Sources
) -> Mapping[str, _OptionWords]:
    """Returns what is said of each option, in the order of the form; a task's own words win."""
    words: dict[str, _OptionWords] = {}
    for document in used:
        section = SectionFile.model_validate(document.data)
        for name, shared in section.options.items():
            words[name] = {"section": section.title, **shared}
    for name, own in said.options.items():
        if own is not None:
            words[name] = {**words.get(name, {}), **own}
        elif words.pop(name, None) is None:
            remedy = "leave the line out, or check its spelling"
            sources.note(("options", name), "is in no section that is used", remedy)
    return words


def _options(words: Mapping[str, _OptionWords], sources: Sources) -> dict[str, OptionDefinition]:
    """Returns the options that are sound; what is wrong with others is noted."""
    read = {name: _option(("options", name), said, sources) for name, said in words.items()}
    options = {name: option for name, option in read.items() if option is not None}
    for fault in default_faults(options):
        place = (*fault.where.split("."), "default")
        sources.note(place, fault.reason, fault.remedy)
    return options


def _option(place: Place, words: _OptionWords, sources: Sources) -> OptionDefinition | None:
    field = spec_fields().get(str(words.get("into")))
    if field is None:
        sources.note((*place, "into"), "is no field of the spec", _FIELDS_REMEDY)
        return None
    try:
        option = OptionDefinition.model_validate({**_inherited(words, field.says()), **words})
    except ValidationError as problem:
        sources.note_all(place, problem)
        return None
    faults = list(_faults(option, field))
    for key, reason, remedy in faults:
        sources.note((*place, key), reason, remedy)
    return None if faults else option


def _inherited(words: _OptionWords, said: dict[str, object]) -> dict[str, object]:
    """Returns what the spec says of a field, as far as it can be said of the option."""
    values = words.get("values")
    if isinstance(values, Mapping) and "type" not in words:
        keys = list(map(str, values))  # pyright: ignore[reportUnknownArgumentType]
        is_switch = set(keys) <= {"True", "False"}
        return {"type": "boolean"} if is_switch else {"type": "string", "choices": keys}
    return said if words.get("type", said.get("type")) == said.get("type") else {}


def _faults(option: OptionDefinition, field: SpecField) -> Iterator[tuple[str, str, str]]:
    """Finds what an option would take and its field would not: key, reason, remedy."""
    kind = field.says().get("type", option.type)
    if option.values is None and option.type not in (kind, "integer" if kind == "number" else ""):
        yield "type", f"is not what {field.path} takes", f"leave it out: it is {kind}"
    if option.type in ("integer", "number"):
        for key in ("minimum", "maximum"):
            if getattr(option, key) is None:
                yield key, "is missing: every number has bounds", f"add {key}"
    if option.type == "list" and not option.choices:
        yield "choices", "is missing: a list is made of choices", "add choices"
    said = field.says()
    bounds = (
        f"{said['minimum']}..{said['maximum']}" if {"minimum", "maximum"} <= said.keys() else ""
    )
    for key, value in _stated(option):
        told = option.to_spec(value)
        if told is not None and not field.takes(told):
            takes = (
                f"it takes {bounds}" if bounds else f"see {field.path} in the reference of tasks"
            )
            remedy = f"leave it out: {takes}"
            yield key, f"is not what {field.path} takes", remedy


def _stated(option: OptionDefinition) -> Iterator[tuple[str, OptionValue]]:
    """Yields every value that a definition names, with the key that names it."""
    for key in ("default", "minimum", "maximum"):
        if (value := getattr(option, key)) is not None:
            yield key, value
    for choice in option.choices or ():
        yield "choices", [choice] if option.type == "list" else choice


def _fixed(
    said: TaskFile, options: Mapping[str, OptionDefinition], sources: Sources
) -> dict[str, SpecValue]:
    """Returns the values that nobody sets, those of hidden options included."""
    fixed = dict(_flat(said.fixed))
    for path, value in fixed.items():
        field, place = spec_fields().get(path), ("fixed", *path.split("."))
        if field is None:
            sources.note(place, "is no field of the spec", _FIELDS_REMEDY)
        elif value is not None and not field.takes(value):
            remedy = f"see {path} in the reference of tasks"
            sources.note(place, "is not what this field takes", remedy)
    taken = dict.fromkeys(fixed, "a fixed value")
    for name, option in options.items():
        if (other := taken.setdefault(option.into, name)) != name:
            remedy = "leave one of them out; null drops an option of a section"
            sources.note(("options", name), f"goes where {other} goes", remedy)
        elif option.visibility == "hidden" and option.default is not None:
            fixed[option.into] = option.to_spec(option.default)
    return fixed


def _check_template(said: TaskFile, sources: Sources) -> None:
    if not spec_fields()["template"].takes(said.template):
        sources.note(("template",), "is no name of a template", "use: model")


def _check_alpha(task: TaskDefinition, sources: Sources) -> None:
    """Refuses an alpha, of the largest rank, that the spec would not take."""
    rank = task.option_into("lora.rank")
    highest = task.options[rank].maximum if rank else task.fixed.get("lora.rank")
    if isinstance(highest, int | float):
        alpha = highest * task.lora_alpha_per_rank
        if not spec_fields()["lora.alpha"].takes(alpha):
            reason, remedy = f"makes an alpha of {alpha:.10g}", "lower it, or the largest rank"
            sources.note(("lora_alpha_per_rank",), reason, remedy)


def _check_defaults(task: TaskDefinition, sources: Sources) -> None:
    """Refuses a task of which nothing could be submitted as its form first shows it."""
    defaults = {key: it.default for key, it in task.options.items() if it.default is not None}
    try:
        judge = UNKNOWN_DIGEST if task.takes_reward else None
        frozen = freeze_spec(task, defaults, _INPUTS, reward=judge)
        check_combinations(task, frozen, Circumstances())
    except SpecError as refused:
        for fault in refused.errors:
            place = tuple(fault.where.split(".")) if "." in fault.where else ()
            sources.note(place, f"by its defaults, {fault.reason}", fault.remedy)


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, SpecValue]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield f"{prefix}{name}", value  # pyright: ignore[reportReturnType]


def _parse(schema: type[M], file: Document, sources: Sources) -> M:
    try:
        return schema.model_validate(file.data)
    except ValidationError as problem:
        sources.note_all((), problem)
        raise sources.refusal() from None

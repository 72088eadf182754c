"""What a frozen spec asks for and nobody could do: refused at submit, with the option and a remedy.

`adaptery.spec_rules` says which fields do not combine and what cannot be served; here come the
rules that need to know where a job may run. What is not known refuses nothing: the worker asks
again, on the machine and with the base model at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from adaptery.abilities import needed_abilities, required
from adaptery.errors import FieldProblem, SpecError
from adaptery.examples import OWN_TEMPLATE, TEMPLATE_NAMES
from adaptery.schemas.spec import JobSpec
from adaptery.spec_rules import spec_problems
from adaptery_hub.tasks.definitions import TaskDefinition
from adaptery_hub.tasks.freezing import as_submitted, parse_frozen


@dataclass(frozen=True)
class BaseFacts:
    """What a base model's own files say of it; None where no agent handed them over yet."""

    context_tokens: int | None = None
    has_template: bool | None = None
    #: Names of chat templates whose control tokens its tokenizer lacks.
    unfit_templates: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Circumstances:
    """What is known of where a job may run."""

    #: What the live agents of its queue that hold its base model can (`adaptery.abilities`); None
    #: where one did not say yet.
    abilities: Sequence[frozenset[str] | None] = ()
    base: BaseFacts = BaseFacts()
    #: Whether what it learns from has turns, and so needs a template.
    has_turns: bool = True


def check_combinations(
    task: TaskDefinition, frozen: Mapping[str, object], known: Circumstances
) -> None:
    """Refuses what does not combine, cannot be served or cannot run on any machine that there is.

    Args:
        task: The job's task.
        frozen: Its spec; see `freeze_spec`.
        known: Where it may run.

    Raises:
        SpecError: Names each option with the reason and what would do.
    """
    spec = parse_frozen(task, frozen)
    problems = [*spec_problems(spec), *(p for rule in _RULES for p in rule(spec, known))]
    if problems:
        raise SpecError(
            "The options do not combine.",
            errors=[as_submitted(task, problem) for problem in problems],
        )


def _able(spec: JobSpec, known: Circumstances) -> Iterator[FieldProblem]:
    needed = needed_abilities(dict(spec.optim))
    said = [abilities for abilities in known.abilities if abilities is not None]
    if len(said) < len(known.abilities) or not said:
        return  # somebody may be able to
    if any(abilities.issuperset(needed.values()) for abilities in said):
        return
    lacking = {f: need for f, need in needed.items() if not any(need in can for can in said)}
    for field, need in (lacking or needed).items():
        together = "" if lacking else " and all else that is asked for"
        yield FieldProblem(
            f"optim.{field}",
            f"needs {required([need])}{together}, which no agent with this base model has.",
            f"use {_USUAL[field]}, or ask the administrator for such an agent",
        )


def _context(spec: JobSpec, known: Circumstances) -> Iterator[FieldProblem]:
    if known.base.context_tokens is None:
        return
    limit = int(known.base.context_tokens * (spec.optim.rope.factor if spec.optim.rope else 1))
    if spec.optim.cutoff_len > limit:
        yield FieldProblem(
            "optim.cutoff_len",
            f"is beyond the {limit:,} tokens that the base model can look back on.",
            f"use {limit:,} or less, or RoPE scaling by a larger factor",
        )


def _rope(spec: JobSpec, known: Circumstances) -> Iterator[FieldProblem]:
    if spec.optim.rope is not None and spec.optim.rope.kind != "dynamic":
        yield FieldProblem(
            "optim.rope.kind",
            f"{spec.optim.rope.kind} cannot be served: one base model serves all adapters, and "
            "without it every position would be another than the adapter learnt.",
            "use dynamic, which moves no position within the context of the base model",
        )


def _template(spec: JobSpec, known: Circumstances) -> Iterator[FieldProblem]:
    if spec.template == OWN_TEMPLATE and known.has_turns and known.base.has_template is False:
        yield FieldProblem(
            "template", "has to be chosen: the base model has none of its own", "choose one by name"
        )
    if spec.template in known.base.unfit_templates:
        fitting = [name for name in TEMPLATE_NAMES if name not in known.base.unfit_templates]
        yield FieldProblem(
            "template",
            f"{spec.template} needs control tokens that the base model does not have.",
            f"use {', '.join((OWN_TEMPLATE, *fitting))}",
        )


#: What every machine can.
_USUAL = {"precision": "auto", "quantization": "none", "attention": "auto"}
_RULES: Sequence[Callable[[JobSpec, Circumstances], Iterator[FieldProblem]]] = (
    _able,
    _context,
    _rope,
    _template,
)

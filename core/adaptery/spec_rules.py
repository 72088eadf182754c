"""Which fields of a job spec do not combine, and what cannot be served afterwards.

For: refusing at submit what would only fail on an agent; the worker asks the same rules again. Not
for what depends on a machine or a base model.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptery.adapter_folders import RANK_LIMIT
from adaptery.errors import FieldProblem
from adaptery.schemas.spec import JobSpec, LoraSpec

__all__ = ["LOKR_FACTOR", "MOVING_INITS", "PACKED_STAGES", "plain_rank", "spec_problems"]

#: Size of the small matrix of LoKr, where the layer can be divided by it. Larger ones have fewer
#: numbers, but the LoRA that computes the same needs `LOKR_FACTOR` x rank.
LOKR_FACTOR = 8
#: Starts that move part of the base weights into the adapter.
MOVING_INITS = ("olora", "pissa", "loftq")
PACKED_STAGES = ("pt", "sft")


def plain_rank(lora: LoraSpec) -> int:
    """Return the largest rank of the plain LoRA that this adapter is handed in as."""
    if lora.kind == "loha":
        return lora.rank**2
    if lora.kind == "lokr":
        return lora.rank * LOKR_FACTOR
    return 2 * lora.rank if lora.init in MOVING_INITS else lora.rank


def spec_problems(spec: JobSpec) -> list[FieldProblem]:
    """Return what of a spec cannot be done, by field; empty if all can."""
    rules = (_lora_problems, _start_problems, _stage_problems, _other_problems)
    return [problem for rule in rules for problem in rule(spec)]


def _lora_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    lora = spec.lora
    if lora.dora:
        yield FieldProblem(
            "lora.dora",
            "cannot be served: what DoRA learns is no LoRA, and equals none of a small rank.",
            "Leave it off; rsLoRA or LoRA+ may serve the same end.",
        )
    if (rank := plain_rank(lora)) > RANK_LIMIT:
        highest = next(
            r for r in range(lora.rank, 0, -1) if _plain_rank_with(lora, r) <= RANK_LIMIT
        )
        yield FieldProblem(
            "lora.rank",
            f"makes an adapter of rank {rank}, as it is served; {RANK_LIMIT} is the most.",
            f"Use {highest} or less.",
        )
    if lora.targets != "all" and "all" in lora.targets and len(lora.targets) > 1:
        yield FieldProblem(
            "lora.targets", "names all and others beside.", "Use all alone, or the others."
        )
    if lora.kind != "lora":
        for field, taken in (
            ("rslora", not lora.rslora),
            ("init", lora.init == "default"),
            ("dropout", lora.dropout == 0),
        ):
            if not taken:
                yield _not_with(f"lora.{field}", lora.kind)
        if spec.optim.loraplus_ratio is not None:
            yield _not_with("optim.loraplus_ratio", lora.kind)
        if spec.optim.quantization != "none":
            yield _not_with("optim.quantization", lora.kind)


def _plain_rank_with(lora: LoraSpec, rank: int) -> int:
    return plain_rank(lora.model_copy(update={"rank": rank}))


def _not_with(where: str, kind: str) -> FieldProblem:
    return FieldProblem(
        where, f"is for adapters of kind lora, not {kind}.", "Leave it as it is, or use kind lora."
    )


def _start_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    lora = spec.lora
    moving = lora.init in MOVING_INITS
    if spec.start_from is not None and (lora.kind != "lora" or moving):
        field, value = ("init", lora.init) if moving else ("kind", lora.kind)
        yield FieldProblem(
            f"lora.{field}",
            f"{value} makes a start of its own, but the job goes on from an adapter.",
            "Leave it at its default, or start afresh.",
        )
    if moving and spec.optim.quantization != "none":
        yield FieldProblem(
            "optim.quantization",
            f"does not combine with the start {lora.init}, which moves weights of the base model.",
            "Use none, or the default start.",
        )


def _stage_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    if (spec.stage == "grpo") != (spec.reward is not None):
        yield FieldProblem(
            "reward",
            "is what stage grpo needs, and no other takes.",
            "Name an adapter of stage rm in a job of stage grpo.",
        )
    match spec.stage:
        case "rm" if spec.optim.quantization != "none":
            yield FieldProblem(
                "optim.quantization",
                "is not for stage rm, which puts another head on the base model.",
                "Use none.",
            )
        case "kto" if spec.optim.batch_size == 1:
            yield FieldProblem(
                "optim.batch_size",
                "is 1: kto measures by the answers to other questions of a batch.",
                "Use 2 or more.",
            )
        case "grpo":
            yield from _own_answer_problems(spec)
        case _:
            pass


def _own_answer_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    answers = spec.optim.batch_size * spec.optim.gradient_accumulation
    if spec.reward is not None and answers % spec.reward.generations:
        yield FieldProblem(
            "reward.generations",
            f"is {spec.reward.generations}, but a step has {answers} answers, batch size x "
            "accumulation: they do not fall into groups of it.",
            f"Choose a divisor of {answers}, or another batch size.",
        )
    if any(entry.held_out for entry in spec.inputs):
        yield FieldProblem(
            "validation",
            "is not for stage grpo: there is no answer to a held out prompt to measure a loss on.",
            "Leave it out.",
        )
    if spec.eval.val_size > 0 or spec.eval.patience is not None:
        yield FieldProblem(
            "eval.val_size" if spec.eval.val_size > 0 else "eval.patience",
            "is not for stage grpo: there is no answer to a held out prompt to measure a loss on.",
            "Leave it at its default.",
        )


def _other_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    splits = [entry.split for entry in spec.inputs]
    named = [entry for entry in spec.inputs if entry.held_out]
    held_out = (
        spec.eval.val_size > 0
        or bool(named)
        or ("validation" in splits and set(splits) != {"validation"})
    )
    if len(named) == len(spec.inputs):
        yield FieldProblem(
            "inputs", "are all held out: nothing is left to learn from.", "Name what to learn from."
        )
    for field in ("patience", "steps"):
        if getattr(spec.eval, field) is not None and not held_out:
            yield FieldProblem(
                f"eval.{field}",
                "needs something held out to be measured on.",
                "Set a validation size, or choose a version with a validation split.",
            )
    if spec.eval.val_size >= 1 and spec.eval.val_size % 1:
        yield FieldProblem(
            "eval.val_size", "is no number of examples.", "Use a share below 1, or a whole number."
        )
    if spec.optim.batching == "packed" and spec.stage not in PACKED_STAGES:
        yield FieldProblem(
            "optim.batching",
            f"packed rows are for the stages {' and '.join(PACKED_STAGES)}, not {spec.stage}.",
            "Use grouped.",
        )
    if spec.optim.attention == "flash" and spec.optim.precision == "fp32":
        yield FieldProblem(
            "optim.attention", "flash takes bf16 or fp16, not fp32.", "Use sdpa, or bf16."
        )

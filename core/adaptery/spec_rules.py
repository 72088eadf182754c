"""Which fields of a job spec do not combine, and what cannot be served afterwards.

For: refusing at submit what would only fail on an agent; the worker asks the same rules again. Not
for what depends on a machine or a base model.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptery.adapter_folders import RANK_LIMIT
from adaptery.errors import FieldProblem
from adaptery.schemas.spec import JobSpec, LoraSpec

__all__ = ["LOKR_FACTOR", "plain_rank", "spec_problems"]

#: Size of the small matrix of LoKr, where the layer can be divided by it. Larger ones have fewer
#: numbers, but the LoRA that computes the same needs `LOKR_FACTOR` x rank.
LOKR_FACTOR = 8
#: Starts that move part of the base weights into the adapter.
_MOVING_INITS = ("olora", "pissa", "loftq")
_PACKED_STAGES = ("pt", "sft")


def plain_rank(lora: LoraSpec) -> int:
    """Return the largest rank of the plain LoRA that this adapter is handed in as."""
    if lora.kind == "loha":
        return lora.rank**2
    if lora.kind == "lokr":
        return lora.rank * LOKR_FACTOR
    return 2 * lora.rank if lora.init in _MOVING_INITS else lora.rank


def spec_problems(spec: JobSpec) -> list[FieldProblem]:
    """Return what of a spec cannot be done, by field; empty if all can."""
    return [*_lora_problems(spec), *_start_problems(spec), *_other_problems(spec)]


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


def _plain_rank_with(lora: LoraSpec, rank: int) -> int:
    return plain_rank(lora.model_copy(update={"rank": rank}))


def _not_with(where: str, kind: str) -> FieldProblem:
    return FieldProblem(
        where, f"is for adapters of kind lora, not {kind}.", "Leave it as it is, or use kind lora."
    )


def _start_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    lora = spec.lora
    moving = lora.init in _MOVING_INITS
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


def _other_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    splits = [entry.split for entry in spec.inputs]
    held_out = spec.eval.val_size > 0 or ("validation" in splits and set(splits) != {"validation"})
    if spec.eval.patience is not None and not held_out:
        yield FieldProblem(
            "eval.patience",
            "needs something held out to be measured on.",
            "Set a validation size, or choose a version with a validation split.",
        )
    if spec.optim.batching == "packed" and spec.stage not in _PACKED_STAGES:
        yield FieldProblem(
            "optim.batching",
            f"packed rows are for the stages {' and '.join(_PACKED_STAGES)}, not {spec.stage}.",
            "Use grouped.",
        )
    if spec.optim.attention == "flash" and spec.optim.precision == "fp32":
        yield FieldProblem(
            "optim.attention", "flash takes bf16 or fp16, not fp32.", "Use sdpa, or bf16."
        )

"""How much memory a worker takes: a rule of thumb, corrected by what past attempts took.

Pure rules but for reading the sizes. A rule of thumb errs: it is a warning, never a refusal.
Measured: SmolLM2-135M, rank 8, 4 rows of 256 tokens that all count, on a CPU, takes 3.7 GB in fp32
and 3.2 GB in bf16; the rule says 3.9 and 2.7.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from adaptery.schemas.spec import JobSpec, LoraSpec, OptimSpec
from adaptery.spec_rules import plain_rank

#: Of Python with torch, transformers and peft, before a model is loaded.
LIBRARIES_BYTES = 800 * 1024**2
#: Bytes of a trained number: itself, its gradient and Adam's two moments, all in fp32.
TRAINED_BYTES = 16
#: Bytes of a trained number in a checkpoint: itself and Adam's two moments.
CHECKPOINT_BYTES = 12
#: Hidden vectors and vectors of the feed-forward part that a layer keeps for its way back.
KEPT_HIDDEN, KEPT_WIDE = 8, 3
#: Numbers of fp32 and of the model's own kind that a logit passes on its way to the loss and back.
LOGIT_COPIES = 6
#: Corrections beyond these say more about the past attempt than about the rule.
CORRECTION_RANGE = (0.7, 3.0)
_CONFIG_LIMIT = 1024 * 1024
_BASE_BYTES: Mapping[str, float] = {"8bit": 1.0, "4bit": 0.6}


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a base model of the Llama family."""

    vocabulary: int
    hidden: int
    layers: int
    wide: int  # of the feed-forward part
    query: int  # all query heads together
    keys: int  # all key heads together
    tied: bool
    context_tokens: int | None
    half: bool  # whether its weights were saved in 16 bits

    @property
    def parameters(self) -> int:
        """How many numbers the base model has, nearly."""
        layer = sum(rows * columns for rows, columns in self.linears.values())
        return (2 - self.tied) * self.vocabulary * self.hidden + self.layers * layer

    @property
    def linears(self) -> Mapping[str, tuple[int, int]]:
        """The matrices of one layer: inputs and outputs."""
        return {
            "q_proj": (self.hidden, self.query),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.query, self.hidden),
            "gate_proj": (self.hidden, self.wide),
            "up_proj": (self.hidden, self.wide),
            "down_proj": (self.wide, self.hidden),
        }


@dataclass(frozen=True)
class PastMemory:
    """What an attempt took."""

    spec: Mapping[str, object]  # sections lora and optim
    row_tokens: float
    peak_bytes: int


def read_shape(folder: Path) -> ModelShape | None:
    """Return the sizes that `config.json` tells; None if it does not."""
    try:
        with (folder / "config.json").open("rb") as file:
            config = json.loads(file.read(_CONFIG_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    return shape_of(cast("Mapping[str, object]", config)) if isinstance(config, dict) else None


def shape_of(config: Mapping[str, object]) -> ModelShape | None:
    """Return the sizes that a model's configuration tells; None if some are missing."""

    def size(name: str, default: int | None = None) -> int:
        value = config.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(name)
        return value

    try:
        heads, hidden = size("num_attention_heads"), size("hidden_size")
        head = (
            size("head_dim", max(1, hidden // heads))
            if config.get("head_dim")
            else (hidden // heads)
        )
        context = config.get("max_position_embeddings")
        return ModelShape(
            vocabulary=size("vocab_size"),
            hidden=hidden,
            layers=size("num_hidden_layers"),
            wide=size("intermediate_size"),
            query=heads * head,
            keys=size("num_key_value_heads", heads) * head,
            tied=config.get("tie_word_embeddings") is True,
            context_tokens=context if isinstance(context, int) else None,
            half=str(config.get("dtype", config.get("torch_dtype"))) in ("bfloat16", "float16"),
        )
    except ValueError:
        return None


def trained_numbers(shape: ModelShape, lora: LoraSpec) -> int:
    """Return how many numbers the adapter has while it is trained."""
    targets = shape.linears if lora.targets == "all" else lora.targets
    sizes = [shape.linears[name] for name in targets if name in shape.linears]
    return shape.layers * lora.rank * sum(rows + columns for rows, columns in sizes)


def need_bytes(shape: ModelShape, spec: JobSpec, batch_tokens: float, batch_targets: float) -> int:
    """Return what a worker takes at its peak, by the rule of thumb.

    Args:
        shape: of the base model.
        spec: of the job.
        batch_tokens: of the largest batch, padding included.
        batch_targets: how many of a batch count in the loss.
    """
    return round(_need(shape, spec.lora, spec.optim, batch_tokens, batch_targets))


def correction(shape: ModelShape, past: Iterable[PastMemory]) -> float | None:
    """Return by what the rule is off; None if no attempt told.

    The largest counts. What a past attempt had in its largest batch is not known, but no less than
    a batch of its mean rows; so this errs on the side of more.
    """
    ratios: list[float] = []
    for run in past:
        lora = LoraSpec.model_validate(run.spec.get("lora", {}))
        optim = OptimSpec.model_validate(run.spec.get("optim", {}))
        tokens = run.row_tokens * optim.batch_size
        ratios.append(run.peak_bytes / _need(shape, lora, optim, tokens, tokens))
    if not ratios:
        return None
    least, most = CORRECTION_RANGE
    return min(max(max(ratios), least), most)


def checkpoint_bytes(shape: ModelShape, lora: LoraSpec) -> int:
    """Return the size of one checkpoint."""
    return trained_numbers(shape, lora) * CHECKPOINT_BYTES


def adapter_bytes(shape: ModelShape, lora: LoraSpec) -> int:
    """Return the size of the adapter as it is handed in."""
    return trained_numbers(shape, lora) * 4 * plain_rank(lora) // lora.rank


def _need(
    shape: ModelShape, lora: LoraSpec, optim: OptimSpec, tokens: float, targets: float
) -> float:
    number = 4 if optim.precision == "fp32" or not shape.half else 2
    base = shape.parameters * _BASE_BYTES.get(optim.quantization, number)
    kept = KEPT_HIDDEN * shape.hidden + KEPT_WIDE * shape.wide + 2 * (shape.query + shape.keys)
    # With checkpoints of gradients each layer keeps what came in, and one at a time all of it.
    layers = (
        shape.hidden * shape.layers + kept
        if optim.gradient_checkpointing
        else (kept * shape.layers)
    )
    activations = tokens * layers * number
    logits = targets * shape.vocabulary * (4 + number) * LOGIT_COPIES / 2
    trained = trained_numbers(shape, lora) * TRAINED_BYTES
    return LIBRARIES_BYTES + base + activations + logits + trained

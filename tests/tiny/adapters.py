"""Builds PEFT adapter folders whose weights are random and not zero."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

ALL_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
#: Large enough that the adapter changes the greedy answer of a tiny model.
WEIGHT_SCALE = 0.2


def build_tiny_adapter(
    folder: Path,
    base: Path,
    rank: int,
    seed: int,
    *,
    alpha: float | None = None,
    targets: Sequence[str] = ALL_TARGETS,
    rank_pattern: Mapping[str, int] | None = None,
    alpha_pattern: Mapping[str, float] | None = None,
    use_rslora: bool = False,
) -> Path:
    """Write a LoRA adapter for the model in ``base`` and return ``folder``."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha if alpha is not None else 2 * rank,  # pyright: ignore[reportArgumentType]
        target_modules=list(targets),
        rank_pattern=dict(rank_pattern or {}),
        alpha_pattern=dict(alpha_pattern or {}),  # pyright: ignore[reportArgumentType]
        use_rslora=use_rslora,
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by the old name; nothing that we could change.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = WEIGHT_SCALE * torch.randn(parameter.shape, generator=generator)
    adapted.save_pretrained(str(folder))
    return folder

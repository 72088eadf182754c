"""Training and inference share a file format, never code: their logits must be the same.

What is held against each other: the model as `adaptery_training` trains it (transformers and PEFT,
with the adapter still attached) and the engine after loading the folder that PEFT saved.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import AutoModelForCausalLM

from adaptery.base_models import BaseModelInfo, weight_digest, write_base_model
from adaptery_inference.build import build_engine
from adaptery_inference.config import ServeConfig
from support.engine import TOLERANCE, TinyEngine
from tiny import ALL_TARGETS, build_tiny_model

if TYPE_CHECKING:
    from peft import PeftModel

PROMPTS = [list(b"a"), list(b"A patient comes with a cough."), list(b"Three days of fever. " * 4)]


def trained_for_a_step(base: Path, **options: object) -> PeftModel:
    """An adapter whose weights come from a real optimiser step."""
    from peft import LoraConfig, get_peft_model  # seconds, for the one worker that runs this

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by an old name; nothing that we could change.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        config = LoraConfig(task_type="CAUSAL_LM", lora_alpha=32, **options)  # pyright: ignore[reportArgumentType]
        adapted = get_peft_model(model, config)
    optimiser = torch.optim.AdamW(adapted.parameters(), lr=0.2)
    tokens = torch.tensor([PROMPTS[1]])
    for _ in range(2):  # B is zero at first, so A moves only in the second step
        adapted(input_ids=tokens, labels=tokens).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return adapted.eval()


@pytest.mark.parametrize(
    "options",
    [
        {"r": 8, "target_modules": list(ALL_TARGETS)},
        {"r": 3, "target_modules": ["q_proj", "v_proj"], "use_rslora": True},
        {"r": 16, "target_modules": ["down_proj", "k_proj"], "rank_pattern": {"k_proj": 5}},
    ],
    ids=["all targets", "two targets, rsLoRA", "ranks by pattern"],
)
def test_the_engine_answers_with_the_logits_that_training_saw(
    options: dict[str, object], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    base = build_tiny_model(tmp_path / "base")
    info = BaseModelInfo(name="tiny/base", weight_digest=weight_digest(base), source="built")
    write_base_model(base, info)
    adapted = trained_for_a_step(base, **options)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    config = ServeConfig(model=base, token_file=tmp_path / "token", threads=1, memory_mib=8)
    engine = TinyEngine(build_engine(config), {"trained": tmp_path / "adapter"})
    found = engine.logits([(prompt, "trained") for prompt in PROMPTS])
    untrained = engine.logits([(prompt, None) for prompt in PROMPTS])
    for prompt, logits, without in zip(PROMPTS, found, untrained, strict=True):
        with torch.inference_mode():
            wanted = adapted(input_ids=torch.tensor([prompt])).logits[0, -1]
        torch.testing.assert_close(logits, wanted, rtol=TOLERANCE, atol=TOLERANCE)
        assert (wanted - without).abs().max() > 100 * TOLERANCE

"""The stage of the GPU benchmark: random weights of real shapes, and who generates with them.

What is measured is speed and memory, which do not depend on what the weights know; so nothing is
downloaded. Tokens are bytes.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from support.engine import named
from support.work_folders import Bench
from tiny.models import build_tiny_tokenizer

PROMPT_TOKENS, NEW_TOKENS, RANK, CUTOFF, SEED = 64, 32, 8, 512, 0
_SHARED = {"vocab_size": 49152, "tie_word_embeddings": True, "max_position_embeddings": 8192}
#: Source: config.json of HuggingFaceTB/SmolLM2-135M and -1.7B.
SHAPES: dict[str, dict[str, Any]] = {
    "135M": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "1.7B": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
    },
}

Run = Callable[[], object]


def random_base(folder: Path, shape: str) -> Path:
    """Write a base model of that shape in bf16, made on the card."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = build_tiny_tokenizer()
    ends = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}
    config = LlamaConfig(**_SHARED, **SHAPES[shape], **ends, dtype="bfloat16")
    torch.manual_seed(SEED)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return named(folder)


def random_adapter(folder: Path, base: Path, seed: int) -> Path:
    """Write an adapter of rank 8 on every linear layer."""
    from adaptery_inference.models.spec import read_model_spec

    spec = read_model_spec(base)
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for layer in range(spec.layers):
        for linear, (outputs, inputs) in spec.module_shapes().items():
            part = "mlp" if linear in ("gate_proj", "up_proj", "down_proj") else "self_attn"
            name = f"base_model.model.model.layers.{layer}.{part}.{linear}"
            for side, size in (("A", (RANK, inputs)), ("B", (outputs, RANK))):
                weight = 0.01 * torch.randn(size, generator=generator)
                tensors[f"{name}.lora_{side}.weight"] = weight
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": sorted(spec.module_shapes()),
        "base_model_name_or_path": str(base),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def prompts(rows: int) -> list[list[int]]:
    """Return that many prompts of equal length."""
    chooser = random.Random(SEED)
    return [[chooser.randrange(3, 250) for _ in range(PROMPT_TOKENS)] for _ in range(rows)]


class Ours:
    """Our engine on the card."""

    def __init__(self, base: Path, adapters: Sequence[Path]) -> None:
        from adaptery_inference.build import build_engine
        from adaptery_inference.config import ServeConfig

        self._built = build_engine(
            ServeConfig(
                model=base,
                token_file=Path("unused"),
                device="cuda",
                memory_mib=8192,
                max_batch_tokens=4096,
            )
        )
        self._adapters = [self._register(folder) for folder in adapters]

    def run(self, rows: int, adapters: int) -> Run:
        """Return a run of so many rows at once, which share so many adapters."""
        from adaptery_inference.engine import Prompt, SamplingParams

        engine = self._built.engine
        greedy = SamplingParams(max_tokens=NEW_TOKENS, temperature=0, ignore_eos=True)

        def generate() -> None:
            for number, prompt in enumerate(prompts(rows)):
                adapter = self._adapters[number % adapters] if adapters else None
                engine.add([Prompt(prompt, {f"row {number}": greedy})], adapter)
            while engine.has_work:
                engine.step(lambda a: engine.finish_load(a, self._built.reader.read(a)))

        return generate

    def _register(self, folder: Path) -> Any:
        adapter, weights = self._built.reader.open(folder)
        self._built.engine.register(folder.name, adapter, weights)
        return adapter


class Peer:
    """`generate` of transformers in bf16, with PEFT where there are adapters."""

    def __init__(self, base: Path, adapters: Sequence[Path]) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).to("cuda").eval()
        self._plain = plain
        self._names = [folder.name for folder in adapters]
        self._adapted = PeftModel.from_pretrained(plain, adapters[0], adapter_name=self._names[0])
        for folder in adapters[1:]:
            self._adapted.load_adapter(folder, adapter_name=folder.name)
        self._adapted.eval()

    def run(self, rows: int, adapters: int) -> Run:
        """Return a run of so many rows at once, which share so many adapters."""
        ids = torch.tensor(prompts(rows), device="cuda")
        options: dict[str, Any] = {}
        if adapters > 1:
            options["adapter_names"] = [self._names[n % adapters] for n in range(rows)]

        def generate() -> None:
            if not adapters:
                with self._adapted.disable_adapter():
                    self._generate(ids, options)
                return
            self._adapted.set_adapter(self._names[0])
            self._generate(ids, options)

        return generate

    @torch.inference_mode()
    def _generate(self, ids: torch.Tensor, options: dict[str, Any]) -> None:
        self._adapted.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            **options,
        )


@dataclass(frozen=True)
class Trained:
    """What one run of our worker came to."""

    tokens_per_second: float
    peak_bytes: int


def train(root: Path, base: Path, *, steps: int, **optim: object) -> Trained:
    """Run our worker at its defaults, in bf16, on talks of up to 512 tokens.

    Raises:
        RuntimeError: it failed.
    """
    bench = Bench(root, base, multiprocessing.get_context("spawn"))
    settings = {
        "precision": "bf16",
        "cutoff_len": CUTOFF,
        "max_steps": steps,
        "learning_rate": 1e-4,
    }
    attempt = bench.attempt(talks(), lora={"rank": RANK, "alpha": 16}, **{**settings, **optim})
    attempt.spec["limits"]["memory_bytes"] = 64 << 30
    if attempt.run():
        raise RuntimeError(f"{attempt.events[-1:]}\n{attempt.log[-3000:]}")
    speeds = [event["tokens_per_second"] for event in attempt.of_kind("metrics")]
    summary = attempt.events[-1]
    return Trained(statistics.median(speeds[len(speeds) // 4 :]), summary["peak_memory_bytes"])


def talks() -> list[dict[str, Any]]:
    """Return chats whose lengths spread as those of MTS-Dialog do: most short, some cut off."""
    chooser = random.Random(SEED)

    def words(tokens: int) -> str:
        return "".join(chooser.choice("abcdefghij ") for _ in range(tokens))

    records: list[dict[str, Any]] = []
    for _ in range(512):
        asked = min(600, int(chooser.lognormvariate(5.3, 0.7)))
        answered = chooser.randint(20, 120)
        messages = [("user", words(asked)), ("assistant", words(answered))]
        turns = [{"role": role, "content": text} for role, text in messages]
        records.append({"kind": "chat", "messages": turns})
    return records

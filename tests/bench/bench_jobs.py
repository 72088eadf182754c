"""Training against LLaMA-Factory, on the same tokens of MTS-Dialog: losses, speed, memory.

1. The same start, order and settings: the losses of both, step by step.
2. One epoch of each at its own defaults, and the peer once more as it runs when told to group by
   length and to do without gradient checkpointing. Runs take turns; medians are reported.

The gain is batches of like length, a vocabulary head that sees answers only, and no gradient
checkpointing; on rows of one length there is little of it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench_engine import base_model
from measures import Measure
from training_stage import (
    BATCH,
    CUTOFF,
    MIB,
    Material,
    Trained,
    install_peer,
    llamafactory,
    mts_dialog,
    ours,
    prepare,
)

ROUNDS = int(os.environ.get("ADAPTERY_BENCH_ROUNDS", "3"))
RECORDS = int(os.environ.get("ADAPTERY_BENCH_RECORDS", "160"))
#: Steps whose losses are compared; of records that fit the cut-off whole.
TWIN_STEPS, TWIN_CHARACTERS = 8, 1200
PEER = "LLaMA-Factory"
HOW = f"SmolLM2-135M, {RECORDS} records of MTS-Dialog, one epoch, batch {BATCH}, cut-off {CUTOFF}"

Run = Callable[[], Trained]


def measure() -> list[Measure]:
    """Measure both, runs interleaved."""
    install_peer()
    base = base_model()
    with tempfile.TemporaryDirectory(prefix="adaptery-bench-") as folder:
        root = Path(folder)
        records = mts_dialog(TWIN_STEPS * BATCH, longest=TWIN_CHARACTERS)
        found = twins(root / "twin", prepare(root / "twin", base, records))
        material = prepare(root / "speed", base, mts_dialog(RECORDS))
        return found + speeds(root / "speed", material)


def twins(root: Path, material: Material) -> list[Measure]:
    """The same start, order and settings: do the losses agree?

    Both go on from one adapter, for versions of PEFT draw the first weights differently.
    """
    start = root / "start"
    ours(root, material, keep=start, max_steps=1)
    mine = ours(root, material, start=start).losses
    # Without autocast, as ours: its weights are bf16 all the same, as the model says.
    same = {"disable_shuffling": True, "disable_gradient_checkpointing": True, "bf16": False}
    theirs = llamafactory(root, material, adapter_name_or_path=str(start), **same).losses
    apart = max(abs(mine[step] - theirs[step]) for step in theirs)
    how = f"largest difference of {len(theirs)} steps, same order, same settings"
    print("losses, ours and the peer's:", [(s, round(mine[s], 4), theirs[s]) for s in theirs])
    return [Measure("losses apart", apart, "nats", how, limit=0.01)]


def speeds(root: Path, material: Material) -> list[Measure]:
    """Real tokens per second and peak memory, at the defaults of each."""
    grouped = {"train_sampling_strategy": "group_by_length", "disable_gradient_checkpointing": True}
    runs: dict[str, Run] = {
        "ours": lambda: ours(root, material),
        "peer": lambda: llamafactory(root, material),
        "tuned": lambda: llamafactory(root, material, **grouped),
    }
    found: dict[str, list[Trained]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            found[name].append(run())
    rate = {name: material.tokens / _seconds(rounds) for name, rounds in found.items()}
    peak = {
        name: statistics.median(run.peak_bytes for run in rounds) / MIB
        for name, rounds in found.items()
    }
    tuned = f"{PEER}, grouped, no checkpointing"
    what = "training, tokens without padding"
    return [
        Measure(what, rate["ours"], "1/s", HOW, PEER, rate["peer"], 2.0),
        Measure(what, rate["ours"], "1/s", HOW, tuned, rate["tuned"], 1.1),
        Measure("training, peak memory", peak["ours"], "MiB", HOW, PEER, peak["peer"]),
        Measure("training, peak memory", peak["ours"], "MiB", HOW, tuned, peak["tuned"]),
    ]


def _seconds(rounds: Sequence[Trained]) -> float:
    return statistics.median(run.seconds for run in rounds)

"""Training against LLaMA-Factory on the same tokens of MTS-Dialog, then the queue under load.

1. The same start, order and settings: the losses of both, step by step.
2. One epoch of each at its own defaults, and the peer once more as it runs when told to group by
   length and to do without gradient checkpointing. Runs take turns; medians are reported.
3. The queue: see `bench_queue`.

The gain is batches of like length, a vocabulary head that sees answers only, and no gradient
checkpointing; on rows of one length there is little of it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import bench_queue
from bench_engine import base_model
from measures import Measure
from training_stage import (
    BATCH,
    CUTOFF,
    MIB,
    Material,
    Trained,
    as_fp32,
    install_peer,
    llamafactory,
    mts_dialog,
    ours,
    prepare,
)

from adaptery.records import Record

ROUNDS = int(os.environ.get("ADAPTERY_BENCH_ROUNDS", "3"))
RECORDS = int(os.environ.get("ADAPTERY_BENCH_RECORDS", "160"))
#: Steps whose losses are compared; of records that fit the cut-off whole.
TWIN_STEPS, TWIN_CHARACTERS = 8, 1200
PEER = "LLaMA-Factory"
HOW = f"SmolLM2-135M, {RECORDS} records of MTS-Dialog, one epoch, batch {BATCH}, cut-off {CUTOFF}"

Run = Callable[[], Trained]


def measure() -> list[Measure]:
    """Measure training, runs interleaved; then the queue."""
    install_peer()
    base = base_model()
    with tempfile.TemporaryDirectory(prefix="adaptery-bench-") as folder:
        root = Path(folder)
        records = mts_dialog(TWIN_STEPS * BATCH, longest=TWIN_CHARACTERS)
        found = twins(root, base, records)
        material = prepare(root / "speed", base, mts_dialog(RECORDS))
        found += speeds(root / "speed", material)
    return found + bench_queue.measure()


def twins(root: Path, base: Path, records: list[Record]) -> list[Measure]:
    """The same start, order and settings: do the losses agree?

    In fp32 they must, to the digits that are printed. In bf16 each rounds elsewhere, and Adam's
    first steps, which look at the sign of a gradient only, make much of little: how much, the peer
    shows by itself, with its attention computed in another way.
    """
    exact = prepare(root / "fp32", as_fp32(base, root / "base"), records)
    rounded = prepare(root / "bf16", base, records)
    same = _Twins(root / "fp32", exact)
    near = _Twins(root / "bf16", rounded)
    how = f"largest difference of {len(same.theirs)} steps, same order, same settings"
    itself = f"{PEER} with itself, eager attention"
    return [
        Measure("losses apart, fp32", _apart(same.mine, same.theirs), "nats", how, limit=1e-4),
        Measure(
            *("losses apart, bf16", _apart(near.mine, near.theirs), "nats", how),
            *(itself, _apart(near.again(), near.theirs)),
        ),
    ]


class _Twins:
    """Both go on from one adapter, for versions of PEFT draw the first weights differently."""

    def __init__(self, root: Path, material: Material) -> None:
        self._root, self._material, self._start = root, material, root / "start"
        ours(root, material, keep=self._start, max_steps=1)
        self.mine = ours(root, material, start=self._start).losses
        self.theirs = self.again(flash_attn="auto")
        print(material.precision, "losses of ours:", {s: round(v, 4) for s, v in self.mine.items()})
        print(material.precision, "losses of the peer:", self.theirs)

    def again(self, *, flash_attn: str = "disabled") -> dict[int, float]:
        # Without autocast, as ours: its weights have the format of the model all the same.
        same = {"disable_shuffling": True, "disable_gradient_checkpointing": True, "bf16": False}
        start = {"adapter_name_or_path": str(self._start), "flash_attn": flash_attn}
        return llamafactory(self._root, self._material, **same, **start).losses


def _apart(some: Mapping[int, float], others: Mapping[int, float]) -> float:
    return max(abs(some[step] - others[step]) for step in others)


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

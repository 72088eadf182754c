"""The stage of the training benchmark: one data set, our worker, and LLaMA-Factory beside it.

Both train the same adapter on the same token ids and the same mask: ours builds them from a dataset
version, the peer reads them as a tokenized data set that is written here from the same examples.
The peer lives in its own environment in `build/bench/peers/llamafactory`. As installed it does not
start without a GPU: torchvision and torchaudio do not load, and neither is needed for text.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from safetensors.torch import load_file, save_file

from adaptery.adapter_folders import inspect_adapter
from adaptery.base_models import weight_digest
from adaptery.examples import ChatTokenizer, ExampleSet, build_examples, order_by_length
from adaptery.ids import new_id
from adaptery.records import Record
from support.version_folders import write_version

BUILD = Path(__file__).resolve().parents[2] / "build"
PEER = BUILD / "bench" / "peers" / "llamafactory"
PEER_VERSION, TORCH_VERSION = "0.9.5", "2.13.0"
#: Settings that both share: batch 4, cut-off 512, bf16, LoRA of rank 8 on every linear layer.
BATCH, CUTOFF, RANK, ALPHA, LEARNING_RATE, SEED, THREADS = 4, 512, 8, 16, 2e-4, 42, 2
MIB = 1024 * 1024


@dataclass(frozen=True)
class Trained:
    """What one run came to."""

    losses: dict[int, float]
    seconds: float  # of training, not of starting
    peak_bytes: int  # resident, of the whole process


@dataclass(frozen=True)
class Material:
    """The same examples in both forms."""

    base: Path
    records: list[Record]
    examples: ExampleSet
    tokenized: Path

    @property
    def precision(self) -> str:
        """The number format of the weights, as the model says."""
        config = json.loads((self.base / "config.json").read_text())
        return {"bfloat16": "bf16", "float32": "fp32"}[config.get("dtype") or config["torch_dtype"]]

    @property
    def tokens(self) -> int:
        """Tokens of one epoch without padding."""
        return sum(self.examples.lengths)


def mts_dialog(count: int, *, longest: int | None = None) -> list[Record]:
    """Return that many records of MTS-Dialog's training set, picked by a seed.

    Args:
        count: how many.
        longest: characters; longer ones are left out.

    Raises:
        SystemExit: the data set is not there.
    """
    folder = os.environ.get("ADAPTERY_TEST_DATA")
    if not folder:
        raise SystemExit("ADAPTERY_TEST_DATA must name the folder that holds mts-dialog")
    path = Path(folder) / "mts-dialog" / "MTS-Dialog-TrainingSet.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["dialogue"], row["section_text"]) for row in csv.DictReader(file)]
    rows = [row for row in rows if longest is None or sum(map(len, row)) <= longest]
    random.Random(SEED).shuffle(rows)
    return [_record(*row) for row in rows[:count]]


def _record(dialogue: str, note: str) -> Record:
    asked = f"Write the section of the note that this conversation is about.\n{dialogue}"
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": note}]
    return Record.from_dict({"kind": "chat", "messages": messages})


def prepare(root: Path, base: Path, records: list[Record]) -> Material:
    """Tokenize once, for both; the peer's rows lie in the order in which ours trains on them."""
    examples = build_examples(records, ChatTokenizer(base), cutoff_len=CUTOFF)
    order = order_by_length(examples.lengths, batch_size=BATCH, seed=SEED, epoch=0)
    root.mkdir(parents=True)
    rows = root / "rows.jsonl"
    with rows.open("w") as file:
        for example in map(examples.examples.__getitem__, order):
            file.write(json.dumps(_as_row(example.token_ids.tolist(), example.targets)) + "\n")
    _peer_python(_SAVE, str(rows), str(root / "tokenized"))
    return Material(base, records, examples, root / "tokenized")


def as_fp32(base: Path, folder: Path) -> Path:
    """Write a base model's copy in fp32 to `folder`, and return that."""
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("base_model.json"))
    for weights in folder.glob("*.safetensors"):
        tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
        save_file(tensors, weights, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = config["torch_dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _as_row(ids: list[int], targets: object) -> dict[str, list[int]]:
    labels = [-100] * len(ids)
    for start, end, _ in targets:  # pyright: ignore[reportGeneralTypeIssues]
        labels[start:end] = ids[start:end]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


_SAVE = """
import sys
from datasets import load_dataset
load_dataset("json", data_files=sys.argv[1], split="train").save_to_disk(sys.argv[2])
"""


def ours(
    root: Path,
    material: Material,
    *,
    start: Path | None = None,
    keep: Path | None = None,
    **optim: object,
) -> Trained:
    """Run our worker as an agent would.

    Args:
        root: holds the work folder.
        material: what is learnt.
        start: the adapter to go on from.
        keep: where the adapter goes; else it is forgotten.
        optim: options that differ from those that both share.
    """
    work = root / new_id("at")
    work.mkdir(parents=True)
    entry = write_version(work / "inputs" / "0", material.records)
    spec = {
        "spec_version": 2,
        "job": new_id("jb"),
        "attempt": work.name,
        "fencing_token": 1,
        "stage": "sft",
        "base_model": {"name": "bench/base", "weight_digest": weight_digest(material.base)},
        "inputs": [entry],
        "lora": {"rank": RANK, "alpha": ALPHA},
        "optim": {
            "learning_rate": LEARNING_RATE,
            "scheduler": "constant",
            "epochs": 1,
            "batch_size": BATCH,
            "gradient_accumulation": 1,
            "cutoff_len": CUTOFF,
            "logging_steps": 1,
            "save_steps": 1_000_000,
            "precision": material.precision,
            "seed": SEED,
            **optim,
        },
        "limits": {"wall_seconds": 86_400, "memory_bytes": 20 << 30, "disk_bytes": 20 << 30},
    }
    if start is not None:
        shutil.copytree(start, work / "start")
        spec["start_from"] = {
            "weight_digest": inspect_adapter(start).weight_digest,
            "name": "start",
        }
    (work / "job.json").write_text(json.dumps(spec))
    command = [sys.executable, "-P", "-m", "adaptery_training", "--spec", "job.json"]
    peak = _run([*command, "--base-model", str(material.base)], work, {})
    events = [json.loads(line) for line in (work / "events.jsonl").read_text().splitlines()]
    losses = {e["step"]: e["loss"] for e in events if e["kind"] == "metrics" and "loss" in e}
    (summary,) = (event for event in events if event["kind"] == "summary")
    if keep is not None:
        (work / "adapter").rename(keep)
    shutil.rmtree(work)
    return Trained(losses, summary["train_runtime"], peak)


def llamafactory(root: Path, material: Material, **changes: object) -> Trained:
    """Run LLaMA-Factory by its own command."""
    work = root / new_id("at")
    work.mkdir(parents=True)
    settings = {
        "model_name_or_path": str(material.base),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": RANK,
        "lora_alpha": ALPHA,
        "lora_target": "all",
        "dataset": "tokenized",  # a word that it wants; what is read is tokenized_path
        "tokenized_path": str(material.tokenized),
        "template": "chatml",
        "cutoff_len": CUTOFF,
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": 1,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "num_train_epochs": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "seed": SEED,
        "bf16": True,
        "use_cpu": True,
        "output_dir": str(work / "out"),
        **changes,
    }
    (work / "train.yaml").write_text(json.dumps(settings))  # JSON is YAML
    stubs = {"PYTHONPATH": str(PEER / "stubs")}
    peak = _run([str(PEER / "bin" / "llamafactory-cli"), "train", "train.yaml"], work, stubs)
    state = json.loads((work / "out" / "trainer_state.json").read_text())
    losses = {e["step"]: e["loss"] for e in state["log_history"] if "loss" in e}
    result = json.loads((work / "out" / "train_results.json").read_text())
    shutil.rmtree(work)
    return Trained(losses, result["train_runtime"], peak)


def install_peer() -> None:
    """Make the peer's environment, once."""
    if (PEER / "stubs" / "torchaudio" / "__init__.py").exists():
        return
    pip = [str(PEER / "bin" / "python"), "-m", "pip"]
    packages = [f"llamafactory=={PEER_VERSION}", f"torch=={TORCH_VERSION}"]
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEER)], check=True)
    subprocess.run([*pip, "install", "--quiet", *packages], check=True)
    subprocess.run([*pip, "uninstall", "--quiet", "-y", "torchvision", "torchaudio"], check=True)
    (PEER / "stubs" / "torchaudio").mkdir(parents=True)
    (PEER / "stubs" / "torchaudio" / "__init__.py").touch()


def _peer_python(program: str, *arguments: str) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [str(PEER / "bin" / "python"), "-c", program, *arguments]
    subprocess.run(command, check=True, env=environment, capture_output=True)


def _run(command: list[str], work: Path, more: Mapping[str, str]) -> int:
    """Run to the end; return the peak of the resident memory in bytes.

    Raises:
        RuntimeError: it failed; what it said last is in the message.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "HF_HUB_OFFLINE": "1", **more}
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=log)
        memory = _Peak(process.pid)
        memory.start()
        code = process.wait()
        memory.join()
    if code:
        raise RuntimeError(f"{command[0]} ended with {code}:\n{(work / 'log').read_text()[-3000:]}")
    return memory.peak_bytes


@dataclass
class _Peak(threading.Thread):
    """Watches a process's resident memory until it ends."""

    pid: int
    peak_bytes: int = field(default=0)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """See `threading.Thread`."""
        try:
            process = psutil.Process(self.pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                self.peak_bytes = max(self.peak_bytes, process.memory_info().rss)
                time.sleep(0.1)
        except psutil.Error:
            return

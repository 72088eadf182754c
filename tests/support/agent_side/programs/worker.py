"""A worker without torch: speaks the files and exit codes of one, and learns nothing.

What it does is written in ``behaviour`` in the folder given as base model:
finish | hang | fail | crash | deaf | untold | gated (waits for a file ``go`` beside it) | steady
(as many steps as the spec says, a twentieth of a second each).
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

STEPS = 4


class Events:
    def __init__(self):
        self.seq = 0
        self.stream = Path("events.jsonl").open("a")  # noqa: SIM115 - for life

    def tell(self, kind, **fields):
        self.seq += 1
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = {"seq": self.seq, "at": at.replace("+00:00", "Z"), "kind": kind, **fields}
        self.stream.write(json.dumps(line) + "\n")
        self.stream.flush()


def save_checkpoint(events, step):
    folder = Path(f"checkpoints/step-{step}")
    if folder.exists():
        return
    draft = Path(f"checkpoints/.step-{step}")
    draft.mkdir(parents=True)
    (draft / "state.bin").write_bytes(bytes([step % 256]) * 300_000)
    (draft / "step").write_text(str(step))
    draft.rename(folder)
    events.tell("checkpoint", step=step, path=str(folder), digest="sha256:" + "0" * 64)


def save_adapter(value):
    draft = Path(".adapter")
    draft.mkdir()
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    shapes = {"A": [2, 4], "B": [4, 2]}
    header, blob = {}, b""
    for letter, shape in shapes.items():
        data = struct.pack("<8f", *[value] * 8)
        place = [len(blob), len(blob) + len(data)]
        header[name.format(letter)] = {"dtype": "F32", "shape": shape, "data_offsets": place}
        blob += data
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    weights = struct.pack("<Q", len(head)) + head + blob
    (draft / "adapter_model.safetensors").write_bytes(weights)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none"}
    config |= {"target_modules": ["q_proj"], "base_model_name_or_path": "tiny"}
    (draft / "adapter_config.json").write_text(json.dumps(config))
    draft.rename("adapter")


def main():
    if sys.argv[1:] == ["--abilities"]:
        print(json.dumps(["4bit"]))  # noqa: T201 - it is asked
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", required=True)
    parser.add_argument("--base-model", required=True)
    given = parser.parse_args()
    spec = json.loads(Path(given.spec).read_text())
    base = Path(given.base_model)
    behaviour = (base / "behaviour").read_text().strip()
    events = Events()
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if behaviour == "untold":
        sys.stdout.write("a line for the log only")
        sys.exit(3)
    resumed = Path("resume/step")
    step = int(resumed.read_text()) if resumed.exists() else 0
    optim = spec["optim"]
    steps, save_steps = (
        (optim["max_steps"], optim["save_steps"]) if behaviour == "steady" else (STEPS, STEPS)
    )
    events.tell("state", state="training", total_steps=steps, resumed_step=step)
    if behaviour == "fail":
        events.tell("error", code="no_memory", reason="Not enough memory.", remedy="Less rank.")
        sys.exit(1)
    while step < steps:
        step += 1
        events.tell("metrics", step=step, epoch=step / steps, loss=1.0 / step)
        if step == 2 or step % save_steps == 0:
            save_checkpoint(events, step)
        if behaviour == "crash" and step == 3 and not resumed.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        hangs = behaviour in ("hang", "deaf", "gated") and step == 3 and not resumed.exists()
        ticks = 0
        if behaviour == "steady":
            time.sleep(0.05)
        while hangs and not stopping and not (behaviour == "gated" and (base / "go").exists()):
            ticks += 1
            Path("ticks").write_text(str(ticks))
            time.sleep(0.01)
        if stopping:
            save_checkpoint(events, step)
            sys.exit(75)
    if os.environ.get("SECRET_OF_THE_AGENT"):
        sys.exit(9)
    save_adapter(0.5 + spec["optim"]["seed"] % 1000)
    events.tell("summary", epoch=1.0, train_runtime=1.0, train_samples_per_second=1.0,
                train_steps_per_second=1.0, total_flos=1.0, train_loss=0.5)  # fmt: skip
    shutil.rmtree("tmp", ignore_errors=True)


if __name__ == "__main__":
    main()

"""A whole attempt on the tiny model: from a work folder to an adapter that PEFT loads."""

import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest

from adaptery.adapter_folders import inspect_adapter
from adaptery.adapter_manifests import AdapterManifest, verify_adapter
from adaptery.digests import sha256_file
from adaptery.manifests import MANIFEST_NAME, ManifestFile, sign_manifest
from adaptery.schemas.events import parse_event
from adaptery.schemas.spec import BaseModelRef
from adaptery.signing import SigningKey
from adaptery.times import now
from tiny import tiny_records

SUMMARY_FIELDS = {
    "epoch",
    "train_runtime",
    "train_samples_per_second",
    "train_steps_per_second",
    "total_flos",
    "train_loss",
    "tokens",
    "peak_memory_bytes",
}


@pytest.fixture(scope="module")
def trained(bench):
    attempt = bench.attempt(max_steps=30, save_steps=10)
    assert attempt.run() == 0, attempt.log
    return attempt


def test_the_loss_falls(trained):
    assert trained.losses[30] < trained.losses[1] / 2


def test_events_are_whole_numbered_and_end_with_the_summary(trained):
    lines = (trained.path / "events.jsonl").read_bytes().splitlines()
    events = [parse_event(line) for line in lines]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [e.state for e in events if e.kind == "state"] == [
        "loading",
        "preparing",
        "training",
        "saving",
    ]
    summary = trained.events[-1]
    assert summary.keys() == {"seq", "at", "kind", *SUMMARY_FIELDS}
    assert summary["epoch"] == 6
    assert summary["train_loss"] == pytest.approx(sum(trained.losses.values()) / 30)


def test_metrics_say_the_epoch_also_as_a_step_function(trained):
    metrics = trained.of_kind("metrics")
    assert [m["step_epoch"] for m in metrics] == [(m["step"]) // 5 for m in metrics]
    assert all(m["tokens_per_second"] > 0 and m["grad_norm"] > 0 for m in metrics)


def test_checkpoints_are_told_and_complete(trained):
    told = trained.of_kind("checkpoint")
    assert [c["step"] for c in told] == [10, 20, 30]
    folders = sorted(path.name for path in (trained.path / "checkpoints").iterdir())
    assert folders == ["step-10", "step-20", "step-30"]


def test_the_adapter_names_its_base_and_its_data(trained):
    folder = trained.path / "adapter"
    info = inspect_adapter(folder)
    assert (info.rank, info.alpha, info.base_model_name) == (4, 8, "tests/tiny")
    card = json.loads((folder / "card.json").read_text())
    assert card["base_model"] == trained.spec["base_model"]
    assert card["datasets"] == [{**trained.spec["inputs"][0], "split": "all"}]
    assert card["adapter"]["weight_digest"] == info.weight_digest
    assert card["summary"].keys() == SUMMARY_FIELDS
    readme = (folder / "README.md").read_text()
    assert trained.spec["inputs"][0]["content_digest"] in readme
    assert trained.spec["base_model"]["weight_digest"] in readme


def test_nothing_of_this_machine_or_of_a_record_is_published_or_logged(trained):
    published = "".join(p.read_text() for p in (trained.path / "adapter").glob("*.[jm][sd]*"))
    assert str(trained.path) not in published and str(trained.base) not in published
    assert "fencing_token" not in published
    told = json.dumps(trained.events) + trained.log + published
    assert not [r for r in tiny_records() if r["messages"][0]["content"] in told]


def signed_copy(trained, folder):
    """The adapter as it is downloaded: with the manifest that the service signed."""
    shutil.copytree(trained.path / "adapter", folder)
    files = [
        ManifestFile(path=path.name, bytes=path.stat().st_size, digest=sha256_file(path))
        for path in folder.iterdir()
    ]
    manifest = AdapterManifest(
        name="@tests/tiny@1",
        job=trained.spec["job"],
        base_model=BaseModelRef.model_validate(trained.spec["base_model"]),
        weight_digest=inspect_adapter(folder).weight_digest,
        inputs=(),
        content_digests=(),
        files=tuple(files),
        created_at=now(),
    )
    key = SigningKey.generate()
    (folder / MANIFEST_NAME).write_bytes(sign_manifest(manifest, key).to_bytes())
    assert verify_adapter(folder, key.verify_key).name == "@tests/tiny@1"
    return folder


def test_plain_peft_loads_the_adapter_and_it_has_learnt_the_answers(trained, tmp_path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained.base)
    base = AutoModelForCausalLM.from_pretrained(trained.base, dtype=torch.float32)
    messages = tiny_records()[0]["messages"]
    ids = tokenizer(
        tokenizer.apply_chat_template(messages, tokenize=False), return_tensors="pt"
    ).input_ids
    answer = slice(-len("Blue.") - 2, -1)  # the answer and the end of the turn
    with torch.no_grad():
        before = base(input_ids=ids).logits
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            adapted = PeftModel.from_pretrained(base, str(signed_copy(trained, tmp_path / "soap")))
        after = adapted(input_ids=ids).logits

    def loss(logits):
        return torch.nn.functional.cross_entropy(logits[0, :-1][answer], ids[0, 1:][answer])

    assert loss(after) < loss(before) / 1.5


def test_messages_of_weight_0_and_what_users_say_are_not_learnt_from(bench):
    asked = {"role": "user", "content": "What is red?"}
    ignored = {"role": "assistant", "content": "zzzzzzzzzzzz", "weight": 0}
    learnt = {"role": "assistant", "content": "A rose."}
    record = {"kind": "chat", "messages": [asked, ignored, asked, learnt]}
    attempt = bench.attempt([record], max_steps=1)
    assert attempt.run() == 0, attempt.log
    counts = next(e["message"] for e in attempt.of_kind("log") if "examples" in e["message"])
    assert f"{len('A rose.') + 1} of them learnt from" in counts  # and the end of the turn


def test_training_goes_on_from_an_adapter_and_tells_what_is_held_out(bench, trained):
    attempt = bench.attempt(max_steps=4, learning_rate=0.001, lora={"rank": 6})
    attempt.spec["eval"] = {"val_size": 4, "steps": 2}
    digest = inspect_adapter(trained.path / "adapter").weight_digest
    attempt.spec["start_from"] = {"weight_digest": digest, "name": "tests/first@1"}
    shutil.copytree(trained.path / "adapter", attempt.path / "start")
    assert attempt.run() == 0, attempt.log
    assert attempt.losses[1] < trained.losses[1] / 2
    told = {m["step"]: m["eval_loss"] for m in attempt.of_kind("metrics") if "eval_loss" in m}
    assert list(told) == [2, 4] and len(attempt.of_kind("metrics")) == 4
    summary = attempt.events[-1]
    assert summary["eval_loss"] == min(told.values()) == told[summary["best_step"]]
    card = json.loads((attempt.path / "adapter/card.json").read_text())
    assert card["spec"]["start_from"]["name"] == "tests/first@1"
    readme = (attempt.path / "adapter/README.md").read_text()
    assert "| goes on from | tests/first@1 |" in readme
    assert f"| best held out loss | {summary['eval_loss']:.4f}, after step" in readme


def test_text_records_are_learnt_whole(bench):
    attempt = bench.attempt([{"kind": "text", "text": "Once upon a time."}], max_steps=1)
    assert attempt.run() == 0, attempt.log
    assert (
        "17 of them learnt from" in attempt.of_kind("log")[1]["message"]
    )  # all but the first, and end


def test_cut_and_dropped_records_are_counted(bench):
    long_question = {
        "kind": "chat",
        "messages": [
            {"role": "user", "content": "why? " * 30},
            {"role": "assistant", "content": "Because."},
        ],
    }
    long_text = {"kind": "text", "text": "word " * 30}
    attempt = bench.attempt([*tiny_records(), long_question, long_text], cutoff_len=100)
    assert attempt.run() == 0, attempt.log
    warning = next(e["message"] for e in attempt.of_kind("log") if e["level"] == "warning")
    assert "21 examples" in warning
    assert "1 cut at 100 tokens (record" in warning and "left out: 1 whose answer lies" in warning


def test_several_inputs_are_trained_on_together(bench):
    attempt = bench.attempt(tiny_records()[:3], max_steps=1)
    attempt.add_version(tiny_records()[3:])
    assert attempt.run() == 0, attempt.log
    assert "20 examples" in attempt.of_kind("log")[1]["message"]


def test_gradient_accumulation_is_the_mean_over_all_tokens_of_the_step(bench):
    """Two batches of two rows of any length move the weights as one batch of four does."""
    records = tiny_records()[:4]
    whole = bench.attempt(records, batch_size=4, max_steps=4, scheduler="constant")
    parts = bench.attempt(
        records, batch_size=2, gradient_accumulation=2, max_steps=4, scheduler="constant"
    )
    assert (whole.run(), parts.run()) == (0, 0), whole.log + parts.log
    assert list(parts.losses.values()) == pytest.approx(list(whole.losses.values()), rel=1e-4)


def test_the_command_runs_as_documented(bench):
    attempt = bench.attempt(max_steps=1)
    (attempt.path / "job.json").write_text(json.dumps(attempt.spec))
    command = [sys.executable, "-m", "adaptery_training", "--spec", "job.json"]
    done = subprocess.run(
        [*command, "--base-model", str(attempt.base)],
        cwd=attempt.path,
        env={"PATH": os.environ["PATH"], "HOME": str(attempt.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    assert done.stdout == (attempt.path / "events.jsonl").read_bytes()

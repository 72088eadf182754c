"""What an attempt refuses or fails at, and what it says about it."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import build_tiny_model, tiny_records


def expect(attempt, code: str, *words: str) -> dict:
    assert attempt.run() == 1
    last = attempt.events[-1]
    assert (last["kind"], last["code"]) == ("error", code), (last, attempt.log)
    assert last["reason"] and last["remedy"]
    for word in words:
        assert word in last["reason"]
    assert not (attempt.path / "adapter").exists()
    told = json.dumps(attempt.events) + attempt.log
    assert not [r for r in tiny_records() if r["messages"][0]["content"] in told]
    return last


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"python_object": "os.system"}, "python_object"),
        ({"spec_version": 3}, "spec_version"),
        ({"template": "unheard-of"}, "template"),
        ({"template": "llama3"}, "template"),
        ({"lora": {"rank": 0}}, "lora.rank"),
        ({"optim": {"output_dir": "/tmp"}}, "optim.output_dir"),
        ({"optim": {"precision": "fp16"}}, "optim.precision"),
        ({"lora": {"targets": ["lm_head"]}}, "lora.targets"),
        ({"lora": {"dora": True}}, "lora.dora"),
    ],
)
def test_a_spec_that_asks_for_something_else_is_refused(bench, change, word):
    attempt = bench.attempt()
    attempt.spec.update(change)
    expect(attempt, "spec_refused", word)


def test_a_spec_outside_the_work_folder_is_refused(bench, tmp_path):
    attempt = bench.attempt()
    worker = attempt.start()
    worker.join()
    inside = attempt.path / "job.json"
    (tmp_path / "job.json").write_text(inside.read_text())
    inside.unlink()
    inside.symlink_to(tmp_path / "job.json")
    from adaptery_training.attempt import read_spec
    from adaptery_training.failures import SpecRefusedError

    with pytest.raises(SpecRefusedError, match="outside"):
        read_spec(attempt.path, "job.json")
    with pytest.raises(SpecRefusedError, match="outside"):
        read_spec(attempt.path, "../job.json")


def test_an_adapter_to_go_on_from_that_is_not_there_is_refused(bench):
    attempt = bench.attempt()
    digest = "sha256:" + "0" * 64
    attempt.spec["start_from"] = {"weight_digest": digest, "name": "tests/letters@1"}
    expect(attempt, "data_integrity", "go on from")


def test_a_base_model_with_other_weights_is_refused(bench, tmp_path):
    attempt = bench.attempt()
    attempt.base = build_tiny_model(tmp_path / "other", seed=1)
    expect(attempt, "base_model_mismatch", "sha256:")


def test_a_base_model_that_cannot_be_read_is_refused(bench, tmp_path):
    attempt = bench.attempt()
    attempt.base = tmp_path
    expect(attempt, "base_model_unreadable")
    attempt = bench.attempt(base=build_tiny_model(tmp_path / "base"))
    (tmp_path / "base/config.json").write_text("{")
    expect(attempt, "base_model_unreadable")


@pytest.mark.parametrize("harm", ["file", "manifest", "digest", "extra file", "link", "missing"])
def test_data_that_is_not_the_named_version_is_refused(bench, harm):
    attempt = bench.attempt()
    folder = attempt.path / "inputs/0"
    data = folder / "data-00000.parquet"
    if harm == "file":
        data.write_bytes(data.read_bytes() + b"x")
    elif harm == "manifest":
        (folder / "manifest.json").write_text("{}")
    elif harm == "digest":
        attempt.spec["inputs"][0]["content_digest"] = "sha256:" + "0" * 64
    elif harm == "extra file":
        (folder / "data-00001.parquet").write_bytes(data.read_bytes())
    elif harm == "link":
        data.rename(attempt.path.parent / f"{attempt.path.name}.parquet")
        data.symlink_to(attempt.path.parent / f"{attempt.path.name}.parquet")
    else:
        data.unlink()
    expect(attempt, "data_integrity")


def test_records_exchanged_under_a_valid_manifest_are_refused(bench):
    """Whoever can write the work folder can write a manifest; the spec's digest still tells."""
    attempt = bench.attempt(tiny_records()[:5])
    attempt.add_version(tiny_records()[5:10])
    attempt.spec["inputs"].pop()
    (attempt.path / "inputs/0").rename(attempt.path / "was")
    (attempt.path / "inputs/1").rename(attempt.path / "inputs/0")
    manifest = attempt.path / "inputs/0/manifest.json"
    named = json.loads(manifest.read_text())
    named["content_digest"] = attempt.spec["inputs"][0]["content_digest"]
    manifest.write_text(json.dumps(named))
    expect(attempt, "data_integrity", "content digest")


def test_records_of_another_kind_are_refused_by_number(bench):
    answer = {"role": "assistant", "content": "Yes."}
    preference = {
        "kind": "preference",
        "messages": [{"role": "user", "content": "Is it?"}],
        "chosen": answer,
        "rejected": {**answer, "content": "No."},
    }
    expect(bench.attempt([*tiny_records()[:2], preference]), "bad_data", "Record 3")


def test_nothing_left_to_train_on_is_refused_with_the_counts(bench):
    expect(bench.attempt(cutoff_len=8), "bad_data", "left out: 20")


def test_a_loss_that_is_no_number_ends_the_attempt(bench, tmp_path):
    base = build_tiny_model(tmp_path)
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    attempt = bench.attempt(base=base)
    last = expect(attempt, "diverged", "step 1")
    assert "learning rate" in last["remedy"]


def test_too_little_memory_ends_in_an_error_not_in_a_kill(bench):
    attempt = bench.attempt()
    attempt.spec["limits"]["memory_bytes"] = 128 << 20
    expect(attempt, "out_of_memory")


def test_too_little_disk_ends_before_a_checkpoint_is_half_written(bench):
    attempt = bench.attempt(save_steps=1)
    attempt.spec["limits"]["disk_bytes"] = 60_000
    expect(attempt, "disk_full")
    assert list((attempt.path / "checkpoints").iterdir()) == []


def test_out_of_time_saves_a_checkpoint_and_says_so(bench):
    attempt = bench.attempt(max_steps=100_000)
    attempt.spec["limits"]["wall_seconds"] = 1
    expect(attempt, "time_limit", "checkpoint was saved")
    assert attempt.of_kind("checkpoint")

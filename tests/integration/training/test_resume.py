"""Killed, stopped, resumed: the same losses as in one go."""

import os
import signal

import pytest

from support.waiting import eventually_sync

HALF, WHOLE = 7, 14
#: Dropout uses the random state; 3 does not divide 20, so epochs end with a short batch; the half
#: lies inside the second epoch; the window of 2 steps is cut by the checkpoint.
HARD = {
    "batch_size": 3,
    "logging_steps": 2,
    "save_steps": HALF,
    "max_steps": WHOLE,
    "learning_rate": 0.003,
}
DROPOUT = {"dropout": 0.2}


@pytest.fixture(scope="module")
def straight(bench):
    attempt = bench.attempt(lora=DROPOUT, **HARD)
    assert attempt.run() == 0, attempt.log
    return attempt


def test_killed_and_resumed_gives_the_losses_of_one_go(bench, straight):
    killed = bench.attempt(lora=DROPOUT, **HARD)
    worker = killed.start()
    eventually_sync(lambda: bool(killed.of_kind("checkpoint")), slowest_seconds=0.05)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    resumed = bench.resume(killed, HALF)
    assert resumed.run() == 0, resumed.log
    assert resumed.of_kind("state")[2]["resumed_step"] == HALF
    assert resumed.losses == {s: x for s, x in straight.losses.items() if s > HALF}
    for field in ("train_loss", "epoch", "total_flos"):
        assert resumed.events[-1][field] == pytest.approx(straight.events[-1][field])
    assert (resumed.path / "adapter/adapter_model.safetensors").read_bytes() == (
        straight.path / "adapter/adapter_model.safetensors"
    ).read_bytes()


def test_a_checkpoint_at_the_end_of_an_epoch_resumes_as_well(bench):
    fields = {"max_steps": 15, "save_steps": 5, "gradient_accumulation": 1}
    whole = bench.attempt(lora=DROPOUT, **fields)
    assert whole.run() == 0, whole.log
    resumed = bench.resume(whole, 5)
    assert resumed.run() == 0, resumed.log
    assert resumed.losses == {s: x for s, x in whole.losses.items() if s > 5}


def test_sigterm_saves_a_checkpoint_and_asks_to_be_tried_again(bench):
    attempt = bench.attempt(max_steps=100_000)
    worker = attempt.start()
    eventually_sync(lambda: len(attempt.of_kind("metrics")) > 2, timeout_seconds=60)
    worker.terminate()
    worker.join()
    assert worker.exitcode == 75, attempt.log
    saved = attempt.of_kind("checkpoint")[-1]
    assert saved["step"] == attempt.of_kind("metrics")[-1]["step"]
    assert attempt.events[-1]["state"] == "stopped"
    assert not (attempt.path / "adapter").exists()


def test_killed_between_last_step_and_adapter_only_writes_the_adapter(bench, straight):
    resumed = bench.resume(straight, WHOLE)
    assert resumed.run() == 0, resumed.log
    assert resumed.of_kind("metrics") == []
    assert resumed.events[-1]["train_loss"] == pytest.approx(straight.events[-1]["train_loss"])
    assert (resumed.path / "adapter/adapter_model.safetensors").read_bytes() == (
        straight.path / "adapter/adapter_model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("harm", ["change", "add", "other job", "other digest", "missing"])
def test_a_checkpoint_that_is_not_the_right_one_is_refused(bench, harm):
    first = bench.attempt(max_steps=2, save_steps=1)
    assert first.run() == 0, first.log
    resumed = bench.resume(first, 1)
    state = resumed.path / "resume/optimizer.pt"
    if harm == "change":
        state.write_bytes(state.read_bytes()[:-1] + b"x")
    elif harm == "add":
        (resumed.path / "resume/pytorch_model.bin").write_bytes(b"")
    elif harm == "other job":
        resumed.spec["optim"]["learning_rate"] = 0.02
    elif harm == "other digest":
        resumed.spec["resume_from"]["digest"] = "sha256:" + "0" * 64
    else:
        (resumed.path / "resume").rename(resumed.path / "elsewhere")
    assert resumed.run() == 1
    assert resumed.events[-1]["code"] == "checkpoint_unusable"
    assert resumed.of_kind("metrics") == []

import errno

import pytest

from adaptery.schemas.spec import JobSpec
from adaptery_training.checkpoints import Progress, fingerprint, open_checkpoint, save_checkpoint
from adaptery_training.failures import CheckpointUnusableError
from adaptery_training.held_out import Best

JOB = "sha256:" + "1" * 64


def save(root, step=5, content=b"weights"):
    return save_checkpoint(
        root,
        step=step,
        fingerprint=JOB,
        progress=Progress(loss_sum=1.5, train_seconds=2.5),
        write_files=lambda folder: (folder / "weights").write_bytes(content) and None,
    )


def open_it(checkpoint, **changes):
    wanted = {"step": checkpoint.step, "digest": checkpoint.digest, "fingerprint": JOB}
    return open_checkpoint(checkpoint.path, **{**wanted, **changes})


def test_what_was_saved_opens_under_its_digest(tmp_path):
    root = tmp_path / "checkpoints"
    assert open_it(save(root)) == Progress(loss_sum=1.5, train_seconds=2.5)
    assert [path.name for path in root.iterdir()] == ["step-5"]


def test_the_digest_pins_every_byte(tmp_path):
    first, second = save(tmp_path / "a"), save(tmp_path / "b")
    assert first.digest == second.digest
    assert save(tmp_path / "c", content=b"others").digest != first.digest


def test_a_later_save_of_the_same_step_replaces_the_folder(tmp_path):
    save(tmp_path)
    again = save(tmp_path, content=b"others")
    assert open_it(again) and (again.path / "weights").read_bytes() == b"others"


def test_what_a_killed_attempt_left_is_written_over(tmp_path):
    (tmp_path / ".step-5.tmp").mkdir()
    (tmp_path / ".step-5.tmp/half").write_bytes(b"")
    assert sorted(p.name for p in save(tmp_path).path.iterdir()) == ["checkpoint.json", "weights"]


def test_a_failed_write_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "weights").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        save_checkpoint(tmp_path, step=1, fingerprint=JOB, progress=Progress(), write_files=fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [{"step": 6}, {"digest": "sha256:" + "0" * 64}, {"fingerprint": "sha256:" + "2" * 64}],
)
def test_another_checkpoint_than_the_wanted_is_refused(tmp_path, changes):
    with pytest.raises(CheckpointUnusableError):
        open_it(save(tmp_path), **changes)


@pytest.mark.parametrize("harm", ["change", "remove", "add", "link", "folder"])
def test_a_changed_folder_is_refused(tmp_path, harm):
    checkpoint = save(tmp_path)
    weights = checkpoint.path / "weights"
    if harm == "change":
        weights.write_bytes(b"WEIGHTS")
    elif harm == "remove":
        weights.unlink()
    elif harm == "add":
        (checkpoint.path / "pytorch_model.bin").write_bytes(b"")
    elif harm == "folder":
        (checkpoint.path / "more").mkdir()
    else:
        weights.rename(tmp_path / "weights")
        weights.symlink_to(tmp_path / "weights")
    with pytest.raises(CheckpointUnusableError):
        open_it(checkpoint)


DIGEST = "sha256:" + "0" * 64
SPEC = {
    "spec_version": 1,
    "job": "jb_" + "0" * 26,
    "attempt": "at_" + "0" * 26,
    "fencing_token": 1,
    "stage": "sft",
    "base_model": {"name": "tests/tiny", "weight_digest": DIGEST},
    "inputs": [{"version": "dv_" + "0" * 26, "content_digest": DIGEST}],
    "lora": {"rank": 4},
    "optim": {"learning_rate": 0.01, "max_steps": 6},
    "limits": {"wall_seconds": 1, "memory_bytes": 1, "disk_bytes": 1},
}


def fingerprint_with(**changes):
    return fingerprint(JobSpec.model_validate({**SPEC, **changes}))


def test_a_checkpoint_from_before_version_2_of_specs_still_fits():
    before = "sha256:91611ff65f7358a2c07eb1bc44e866c5a0f898ab4d927463fbaa4941203f1001"
    assert fingerprint_with() == fingerprint_with(spec_version=2) == before


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "pt"},
        {"template": "chatml"},
        {"lora": {"rank": 4, "rslora": True}},
        {"lora": {"rank": 4, "kind": "loha"}},
        {"optim": {**SPEC["optim"], "weight_decay": 0.1}},
        {"optim": {**SPEC["optim"], "rope": {"kind": "yarn", "factor": 2}}},
        {"eval": {"val_size": 0.1}},
        {"preference": {"beta": 0.2}},
        {"start_from": {"weight_digest": DIGEST, "name": "tests/start@1"}},
        {"inputs": [*SPEC["inputs"], {**SPEC["inputs"][0], "split": "validation"}]},
        {"inputs": [{**SPEC["inputs"][0], "held_out": True}]},
    ],
)
def test_whatever_decides_what_a_step_does_is_in_the_fingerprint(change):
    assert fingerprint_with(**change) != fingerprint_with()


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": "at_" + "1" * 26},
        {"fencing_token": 2},
        {"limits": {"wall_seconds": 2, "memory_bytes": 2, "disk_bytes": 2}},
        {"resume_from": {"step": 1, "digest": DIGEST}},
    ],
)
def test_what_belongs_to_an_attempt_is_not(change):
    assert fingerprint_with(**change) == fingerprint_with()


def test_the_best_evaluation_is_kept(tmp_path):
    progress = Progress(best=Best(1.5, 10, 2), peak_memory_bytes=7)
    saved = save_checkpoint(
        tmp_path, step=5, fingerprint=JOB, progress=progress, write_files=lambda folder: None
    )
    assert open_it(saved) == progress


def test_a_tie_is_no_better():
    best = Best().follow(2.0, 10).follow(2.0, 20).follow(1.0, 30).follow(3.0, 40)
    assert best == Best(1.0, 30, stale=1)
    assert Best().follow(2.0, 10).follow(2.0, 20) == Best(2.0, 10, stale=1)

import errno

import pytest

from adaptery_training.checkpoints import Progress, open_checkpoint, save_checkpoint
from adaptery_training.failures import CheckpointUnusableError

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

"""Checkpoint folders: written whole or not at all, and opened only when every byte is known.

`checkpoints/step-<n>/` holds the adapter, the states of optimizer, scheduler and random generators,
the Trainer's own state, and `checkpoint.json`: step, fingerprint of the job, progress, and the
digest of every file. The digest of a checkpoint is the SHA-256 of the bytes of `checkpoint.json`,
so that one value pins the folder.

It does not know what the files mean and holds no torch; the trainer writes and reads them. It never
deletes an older checkpoint: whoever uploads them does, when they have arrived.

Invariants:

1. A folder without a leading dot in its name is complete and durable: written aside, flushed,
   renamed.
2. Nothing of a checkpoint is read before the whole folder matched the digest that the job spec
   names: exactly the listed files, no links, no folders.
3. A checkpoint of another job (base model, data, stage, LoRA or optimisation) is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes, sha256_file
from adaptery.files import rename_atomic
from adaptery.schemas.spec import JobSpec
from adaptery_training.failures import CheckpointUnusableError
from adaptery_training.held_out import NO_BEST, Best

CHECKPOINT_VERSION = 1
MANIFEST_NAME = "checkpoint.json"
#: What of a spec of version 1 decides, whether it is set or stands at its default.
_DECISIVE: dict[str, Any] = {
    "stage": True,
    "base_model": True,
    "inputs": True,
    "template": True,
    "lora": {"rank", "alpha", "dropout", "targets"},
    "optim": {
        "learning_rate",
        "epochs",
        "batch_size",
        "gradient_accumulation",
        "max_steps",
        "seed",
        "cutoff_len",
        "logging_steps",
        "save_steps",
        "precision",
        "warmup_ratio",
        "scheduler",
    },
}
#: What may differ between the attempts of a job.
_OF_THE_ATTEMPT = {"spec_version", "job", "attempt", "fencing_token", "limits", "resume_from"}
#: Bytes. The list of a checkpoint's dozen files; anything larger is not ours.
_MANIFEST_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """What the Trainer's own state does not keep, for a summary of the whole job."""

    loss_sum: float = 0.0  #: over all optimizer steps
    train_seconds: float = 0.0  #: in the training loop, over all attempts
    peak_memory_bytes: int = 0  #: of any attempt
    best: Best = NO_BEST


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One complete checkpoint folder."""

    step: int
    path: Path
    digest: str


def fingerprint(spec: JobSpec) -> str:
    """Return a digest of all that decides what a step does; a checkpoint fits only its own job.

    Fields that version 2 of specs brought are in it only where they are set, so a checkpoint that
    was saved before still fits.
    """
    decisive = spec.model_dump(mode="json", include=_DECISIVE)
    for entry in decisive["inputs"]:
        if not entry["held_out"]:
            del entry["held_out"]
    set_since = spec.model_dump(mode="json", exclude=_OF_THE_ATTEMPT, exclude_defaults=True)
    for name, value in set_since.items():
        if _DECISIVE.get(name) is not True:
            decisive[name] = {**decisive.get(name, {}), **value}
    return sha256_bytes(canonical_json(decisive))


def save_checkpoint(
    root: Path,
    *,
    step: int,
    fingerprint: str,
    progress: Progress,
    write_files: Callable[[Path], None],
) -> Checkpoint:
    """Write `root/step-<step>` in one step; an older folder of that name is replaced.

    Raises:
        OSError: the files cannot be written; what was half written is removed.
    """
    target, temporary = root / f"step-{step}", root / f".step-{step}.tmp"
    root.mkdir(exist_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was killed
    temporary.mkdir()
    try:
        write_files(temporary)
        body = canonical_json(
            {
                "checkpoint_version": CHECKPOINT_VERSION,
                "step": step,
                "fingerprint": fingerprint,
                "progress": asdict(progress),
                "files": _list_files(temporary),
            }
        )
        (temporary / MANIFEST_NAME).write_bytes(body)
        if target.exists():  # the same work folder, trained from an earlier step again
            shutil.rmtree(target)
        rename_atomic(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Checkpoint(step, target, sha256_bytes(body))


def open_checkpoint(folder: Path, *, step: int, digest: str, fingerprint: str) -> Progress:
    """Check a checkpoint folder that came from outside and return its progress.

    Raises:
        CheckpointUnusableError: the folder is not byte for byte the one that the spec names, or it
            belongs to another job.
    """
    body = _read_manifest(folder)
    if sha256_bytes(body) != digest:
        raise CheckpointUnusableError(
            "The checkpoint in resume/ is not the one that the job spec names (digest differs)."
        )
    manifest = json.loads(body)
    if manifest["checkpoint_version"] != CHECKPOINT_VERSION:
        raise CheckpointUnusableError("The checkpoint was written by another release.")
    if manifest["step"] != step or manifest["fingerprint"] != fingerprint:
        raise CheckpointUnusableError(
            "The checkpoint in resume/ belongs to another step, base model, dataset or option."
        )
    try:
        found = _list_files(folder)
    except OSError:
        raise CheckpointUnusableError("A file of the checkpoint cannot be read.") from None
    if found != manifest["files"]:
        raise CheckpointUnusableError("A file of the checkpoint is missing, damaged or not listed.")
    progress = manifest["progress"]
    return Progress(**{**progress, "best": Best(**progress.get("best", {}))})


def _read_manifest(folder: Path) -> bytes:
    path = folder / MANIFEST_NAME
    try:
        if path.stat().st_size > _MANIFEST_LIMIT_BYTES:
            raise CheckpointUnusableError("checkpoint.json in resume/ is too large to be ours.")
        return path.read_bytes()
    except OSError:
        raise CheckpointUnusableError("There is no readable checkpoint in resume/.") from None


def _list_files(folder: Path) -> list[dict[str, object]]:
    """Return path, size and digest of every file but the manifest.

    Raises:
        CheckpointUnusableError: there is something else than plain files.
    """
    listed: list[dict[str, object]] = []
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            raise CheckpointUnusableError("A checkpoint holds plain files only.")
        if path.name != MANIFEST_NAME:
            size = path.stat().st_size
            listed.append({"path": path.name, "bytes": size, "digest": sha256_file(path)})
    return listed

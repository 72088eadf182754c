"""Takes in what an attempt hands over: checkpoints, and the adapter at its end.

The files are staged; here they are checked, moved into the store and registered. Nothing that the
agent says about them is believed: digests and sizes are computed, the adapter is inspected, and its
card must name the base weights and dataset digests of the job's own spec.

Invariants:
- Every step may be repeated, also after a crash between store and database: places follow from
  attempt and step.
- Registered is only what lies in the store whole, and only while the attempt holds its lease.
- What is registered is signed in the same transaction; nobody else's manifest is taken.
- An adapter is `staged` until its job completes; nobody sees it before.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection, RowMapping

from adaptery.adapter_folders import AdapterInfo, inspect_adapter, inspect_weights
from adaptery.errors import DigestMismatchError, InvalidInputError
from adaptery.manifests import MANIFEST_NAME
from adaptery.signing import SigningKey
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.database import Database
from adaptery_hub.database.statements import adapters, checkpoints, job_inputs, jobs, versions
from adaptery_hub.fleet.adapter_manifests import sign_adapter
from adaptery_hub.fleet.offers import (
    CARD_NAME,
    WEIGHT_FILES,
    adapter_prefix,
    checkpoint_prefix,
    prefix_of_checkpoint,
    read_card,
)
from adaptery_hub.fleet.staging import AnnouncedFile, StagingArea
from adaptery_hub.objects import ObjectStore
from adaptery_hub.queue.port import Fence
from adaptery_hub.queue.transitions import lock_fenced

logger = logging.getLogger(__name__)

CHECKPOINTS_KEPT = 2  # of one job: the newest, and one more in case it cannot be read
#: Of one job, of those before: only their adapters, which can be served and gone on from.
LIGHT_CHECKPOINTS_KEPT = 20
_STRICTNESS = ("open", "internal", "restricted")


class Registration:
    """Registers committed folders. Methods block: call them in a thread."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        staging: StagingArea,
        key: SigningKey,
        clock: Clock = now,
    ) -> None:
        self._database = database
        self._objects = objects
        self._staging = staging
        self._key = key  # signs what is registered
        self._clock = clock

    def checkpoint(
        self,
        fence: Fence,
        job_id: str,
        folder: str,
        files: Sequence[AnnouncedFile],
        *,
        step: int,
        digest: str,
        metrics: Mapping[str, object] | None,
    ) -> None:
        """Stores and registers one checkpoint, and forgets those that are not needed any more.

        Raises:
            DigestMismatchError: The files are not what was announced.
            LeaseLostError: The attempt does not hold its lease any more.
        """
        prefix = checkpoint_prefix(job_id, fence.attempt_id, step)
        self._store(fence.attempt_id, folder, files, prefix)
        info = self._inspect(prefix, files)
        replaced = self._database.write_now(
            lambda c: self._put_checkpoint(c, fence, step, digest, files, metrics, info)
        )
        if replaced is not None:
            self._objects.remove_folder(replaced)
        self._forget_old(job_id, fence.attempt_id)

    def adapter(self, fence: Fence, files: Sequence[AnnouncedFile]) -> str:
        """Stores and stages the adapter of an attempt; returns its id.

        Raises:
            InvalidInputError: It is not an adapter of this job.
            DigestMismatchError: The files are not what was announced.
            LeaseLostError: The attempt does not hold its lease any more.
        """
        if any(file.path == MANIFEST_NAME for file in files):
            raise InvalidInputError("The adapter has a manifest: only the service signs one.")
        adapter_id = adapters.adapter_id_of(fence.attempt_id)
        prefix = adapter_prefix(adapter_id)
        self._store(fence.attempt_id, "adapter", files, prefix, inspect=True)
        with self._objects.folder(prefix) as folder:
            info = inspect_adapter(folder)
            card = read_card(folder / CARD_NAME)
        self._database.write_now(
            lambda c: self._stage_adapter(c, fence, adapter_id, files, info, card)
        )
        logs.log(logger, logging.INFO, "adapter_staged", adapter=adapter_id, rank=info.rank)
        return adapter_id

    def _store(
        self,
        attempt_id: str,
        folder: str,
        files: Sequence[AnnouncedFile],
        prefix: str,
        *,
        inspect: bool = False,
    ) -> None:
        """Moves a staged folder into the store, if no earlier try did."""
        stored = {info.path: info.bytes for info in self._objects.list(prefix)}
        if not stored:
            staged = self._staging.check(attempt_id, folder, files)
            if inspect:
                inspect_adapter(staged)  # limits every file, the card too
                read_card(staged / CARD_NAME)
            self._objects.put_folder(prefix, staged)
        elif stored != {file.path: file.bytes for file in files}:
            raise DigestMismatchError("Another folder was committed in this place before.")

    def _inspect(self, prefix: str, files: Sequence[AnnouncedFile]) -> AdapterInfo | None:
        """Returns the adapter in a checkpoint; None if it holds none that could be served."""
        if not {*WEIGHT_FILES} <= {file.path for file in files}:
            return None
        paths = [self._objects.local_path(f"{prefix}/{name}") for name in WEIGHT_FILES]
        try:
            return inspect_weights(*paths)
        except InvalidInputError:
            return None

    def _put_checkpoint(
        self,
        connection: Connection,
        fence: Fence,
        step: int,
        digest: str,
        files: Sequence[AnnouncedFile],
        metrics: Mapping[str, object] | None,
        info: AdapterInfo | None,
    ) -> str | None:
        """Registers a checkpoint; returns where the one lies whose place it took."""
        job, _ = lock_fenced(connection, fence)
        sensitivity, digests = _learnt(connection, job["id"])
        replaced = checkpoints.at_step(connection, job["id"], step)
        checkpoints.put(
            connection,
            job_id=job["id"],
            attempt_id=fence.attempt_id,
            step=step,
            digest=digest,
            files=[_as_dict(file) for file in files],
            metrics=metrics,
            servable=info
            and checkpoints.Servable(
                info.weight_digest, info.kind, info.rank, sensitivity, digests
            ),
            now=self._clock(),
        )
        if replaced is None or (
            replaced["attempt_id"] == fence.attempt_id and not replaced["light"]
        ):
            return None  # the same folder: its commit came again
        return prefix_of_checkpoint(replaced)

    def _forget_old(self, job_id: str, attempt_id: str) -> None:
        """Lets the states of old checkpoints of this attempt go, and the oldest adapters of all.

        Never another attempt's states: this one may still be fetching them.
        """
        whole = [row for row in self._kept(job_id) if not row["light"]]
        for row in whole[:-CHECKPOINTS_KEPT]:
            if row["attempt_id"] != attempt_id:
                continue
            if row["weight_digest"] is None:
                self._remove(row)
            else:
                self._lighten(row)
        light = [row for row in self._kept(job_id) if row["light"]]
        for row in light[:-LIGHT_CHECKPOINTS_KEPT]:
            self._remove(row)

    def _kept(self, job_id: str) -> list[RowMapping]:
        return self._database.read_now(lambda c: checkpoints.of_job(c, job_id))

    def _remove(self, row: RowMapping) -> None:
        self._database.write_now(lambda c: checkpoints.remove(c, row["job_id"], row["step"]))
        self._objects.remove_folder(prefix_of_checkpoint(row))

    def _lighten(self, row: RowMapping) -> None:
        """Keeps the adapter of a checkpoint only."""
        whole = prefix_of_checkpoint(row)
        place = prefix_of_checkpoint({**row, "light": True})
        if not self._objects.list(place):  # else an earlier try put it there
            with self._staging.scratch(row["attempt_id"]) as scratch:
                made = scratch / "adapter"
                made.mkdir()
                for name in WEIGHT_FILES:
                    shutil.copyfile(self._objects.local_path(f"{whole}/{name}"), made / name)
                self._objects.put_folder(place, made)
        self._database.write_now(lambda c: checkpoints.lighten(c, row, WEIGHT_FILES))
        self._objects.remove_folder(whole)

    def _stage_adapter(
        self,
        connection: Connection,
        fence: Fence,
        adapter_id: str,
        files: Sequence[AnnouncedFile],
        info: AdapterInfo,
        card: Mapping[str, object],
    ) -> None:
        job, _ = lock_fenced(connection, fence)
        staged = adapters.staged_of_job(connection, job["id"])
        if staged is not None and staged["id"] == adapter_id:
            return
        check_card(card, job, jobs.inputs_of(connection, [job["id"]]), info)
        sensitivity, digests = _learnt(connection, job["id"])
        values = {
            "id": adapter_id,
            "tenant_id": job["tenant_id"],
            "creator_id": job["creator_id"],
            "name": job["name"],
            "job_id": job["id"],
            "base_model": job["base_model"],
            "base_weight_digest": job["weight_digest"],
            "weight_digest": info.weight_digest,
            "sensitivity": sensitivity,
            "kind": info.kind,
            "rank": info.rank,
            "bytes": sum(file.bytes for file in files),
            "files": [_as_dict(file) for file in files],
            "content_digests": digests,
            "card": dict(card),
        }
        row = adapters.stage(connection, values, self._clock())
        manifest = sign_adapter(connection, row, self._key).to_bytes().decode()
        adapters.set_manifest(connection, adapter_id, manifest)


def _learnt(connection: Connection, job_id: str) -> tuple[str, list[str]]:
    """Returns how sensitive what a job makes is, and the digests of all that is in it.

    That is its inputs, the versions that merged ones reference, and what the adapters learnt from
    that it goes on from or is judged by. What was only evaluated on is not in it, but its scores
    tell of it.
    """
    inputs = jobs.inputs_of(connection, [job_id])
    taken = job_inputs.adapters_of(connection, [job_id])
    learnt = [row for row in inputs if not row["held_out"]]
    digests = [row["content_digest"] for row in learnt]
    for row in learnt:
        digests += versions.source_digests(connection, row["version_id"])
    for row in taken:
        digests += row["content_digests"]
    return strictest([row["sensitivity"] for row in (*inputs, *taken)]), list(
        dict.fromkeys(digests)
    )


def strictest(sensitivities: Sequence[str]) -> str:
    """Returns the sensitivity of what was made from things with these: the strictest of them."""
    return max(sensitivities, key=_STRICTNESS.index, default=_STRICTNESS[0])


def check_card(
    card: Mapping[str, object], job: RowMapping, inputs: Sequence[RowMapping], info: AdapterInfo
) -> None:
    """Checks that a card names what the job was about.

    Raises:
        InvalidInputError: It names other base weights, other data or other adapter weights.
    """
    said = {
        "base_model.weight_digest": _field(card.get("base_model"), "weight_digest"),
        "adapter.weight_digest": _field(card.get("adapter"), "weight_digest"),
        "datasets": _content_digests(card.get("datasets")),
    }
    known = {
        "base_model.weight_digest": job["weight_digest"],
        "adapter.weight_digest": info.weight_digest,
        "datasets": [row["content_digest"] for row in inputs],
    }
    for field, expected in known.items():
        if said[field] != expected:
            raise InvalidInputError(f"The adapter's card names another {field} than its job.")


def _content_digests(datasets: object) -> list[object]:
    entries = datasets if isinstance(datasets, list) else []
    return [_field(entry, "content_digest") for entry in entries]


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _as_dict(file: AnnouncedFile) -> dict[str, object]:
    return {"path": file.path, "bytes": file.bytes, "digest": file.digest}

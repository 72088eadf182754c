"""Signs what adapters are, and adds that to what is downloaded of them.

An adapter is signed in the transaction that registers it, and keeps that manifest. A checkpoint,
and an adapter that a release before registered, is signed when it is downloaded, from what was
written down when it was handed in: the same bytes each time, as long as nobody changed that.

Not here: agents get no manifest. They load only weights with the digest that a grant names, which
this service signed too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy.engine import Connection

from adaptery.adapter_manifests import AdapterManifest
from adaptery.digests import sha256_bytes
from adaptery.manifests import MANIFEST_NAME, ManifestFile, sign_manifest
from adaptery.schemas.spec import BaseModelRef, InputSpec, StartSpec
from adaptery.signing import SigningKey
from adaptery_hub.database.prepared import Row
from adaptery_hub.database.statements import job_inputs, jobs, tenants
from adaptery_hub.fleet.offers import OfferedFolder, folder_of_weights
from adaptery_hub.full_names import full_name


def sign_adapter(connection: Connection, row: Row, key: SigningKey) -> AdapterManifest:
    """Returns the signed manifest of an adapter that is being registered.

    Args:
        connection: An open transaction.
        row: The adapter.
        key: The key that signs the manifests of versions too.
    """
    return _sign(connection, row, folder_of_weights(connection, "adapter", row), key)


def downloaded_folder(connection: Connection, row: Row, key: SigningKey) -> OfferedFolder:
    """Returns the folder of an adapter, or of a checkpoint as one, with its signed manifest.

    Args:
        connection: An open transaction.
        row: It, as `adaptery_hub.weights` has it.
        key: The key that signs what was not signed when it was registered.
    """
    folder = folder_of_weights(connection, "adapter", row)
    kept: str | None = row.get("manifest")
    raw = kept.encode() if kept else _sign(connection, row, folder, key).to_bytes()
    return replace(folder, made={**folder.made, MANIFEST_NAME: raw})


def _sign(
    connection: Connection, row: Row, folder: OfferedFolder, key: SigningKey
) -> AdapterManifest:
    job_id, step = row["job_id"], row.get("step")
    job = jobs.get(connection, job_id)
    assert job is not None  # of a job that was deleted, the row stays
    taken = {
        entry["role"]: StartSpec(weight_digest=entry["weight_digest"], name=entry["name"])
        for entry in job_inputs.adapters_of(connection, [job_id])
    }
    judge = taken.get("reward")
    manifest = AdapterManifest(
        adapter=row["id"] if step is None else None,
        name=_name(connection, row) if step is None else f"{job_id}-step{step}",
        job=job_id,
        step=step,
        base_model=BaseModelRef(name=row["base_model"], weight_digest=row["base_weight_digest"]),
        weight_digest=row["weight_digest"],
        inputs=tuple(map(InputSpec.model_validate, job["spec"]["inputs"])),
        content_digests=tuple(row["content_digests"]),
        start_from=taken.get("start"),
        reward=judge and judge.weight_digest,
        files=tuple(_entries(folder)),
        created_at=row["created_at"],
    )
    return sign_manifest(manifest, key)


def _name(connection: Connection, row: Row) -> str:
    (owner,) = tenants.get_many(connection, [row["tenant_id"]])
    return full_name(owner["kind"], owner["slug"], row["name"], row["number"])


def _entries(folder: OfferedFolder) -> Iterator[ManifestFile]:
    for file in folder.files or ():
        yield ManifestFile.model_validate(file)
    for path, raw in folder.made.items():
        yield ManifestFile(path=path, bytes=len(raw), digest=sha256_bytes(raw))

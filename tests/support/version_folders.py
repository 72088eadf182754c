"""Dataset versions as an agent lays them into a work folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
from pyarrow import parquet

from adaptery.digests import content_digest, sha256_file
from adaptery.ids import new_id
from adaptery.manifests import Manifest, ManifestFile
from adaptery.records import Record
from adaptery.times import now


def write_version(folder: Path, records: Sequence[Record]) -> dict[str, str]:
    """Write a version into `folder`, with its manifest; return its entry in a job spec."""
    folder.mkdir(parents=True)
    ids = [record.record_id() for record in records]
    table = pyarrow.table(
        {
            "record_id": ids,
            "kind": [record.kind for record in records],
            "record": [json.dumps(record.to_dict()) for record in records],
        }
    )
    data = folder / "data-00000.parquet"
    parquet.write_table(table, data, compression="zstd")
    digest, version = content_digest(ids), new_id("dv")
    file = ManifestFile(path=data.name, bytes=data.stat().st_size, digest=sha256_file(data))
    manifest = Manifest(
        dataset=new_id("ds"),
        version=version,
        number=1,
        content_digest=digest,
        records=len(ids),
        files=(file,),
        created_at=now(),
    )
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return {"version": version, "content_digest": digest}

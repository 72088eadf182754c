"""What a worker accepts as a dataset version: exactly the one that its spec names."""

import json
from pathlib import Path

import pytest

from adaptery.digests import content_digest, sha256_file, split_digest
from adaptery.manifests import Manifest, ManifestFile
from adaptery.records import Record
from adaptery.schemas.spec import InputSpec
from adaptery.times import now
from adaptery_training.failures import DataIntegrityError, SpecRefusedError
from adaptery_training.inputs import read_inputs

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

VERSION, DATASET = "dv_01hzzzzzzzzzzzzzzzzzzzzzzz", "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
SPLITS = ["train", "test", "train", "validation", "train"]
RECORDS = [Record.of_text(f"note {n}") for n in range(5)]
IDS = [record.record_id() for record in RECORDS]
RECIPE = {"recipe_version": 1, "sources": []}


def text_of(number: int) -> str:
    return json.dumps(RECORDS[number].to_dict())


def version(root: Path, recipe: dict | None = None, extra: str | None = None) -> InputSpec:
    """Lay a version with splits into a work folder; return how a spec names it."""
    folder = root / "inputs" / "0"
    (folder / "data").mkdir(parents=True)
    for split in sorted(set(SPLITS)):
        rows = [n for n in range(5) if SPLITS[n] == split]
        columns = {
            "position": [n + 1 for n in rows],
            "record_id": [IDS[n] for n in rows],
            "record": [text_of(n) for n in rows],
        }
        pq.write_table(pa.table(columns), folder / "data" / f"{split}-00000.parquet")
    if extra is not None:
        (folder / extra).write_text("{}")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        manifest_version=2,
        dataset=DATASET,
        version=VERSION,
        number=1,
        content_digest=content_digest(IDS, recipe),
        split_digest=split_digest(SPLITS),
        records=5,
        recipe=recipe,
        files=tuple(
            ManifestFile(
                path=path.relative_to(folder).as_posix(),
                bytes=path.stat().st_size,
                digest=sha256_file(path),
            )
            for path in paths
        ),
        created_at=now(),
    )
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return InputSpec(
        version=VERSION,
        content_digest=content_digest(IDS, recipe),
        split_digest=split_digest(SPLITS),
    )


def test_all_splits_come_back_in_the_order_of_the_version(tmp_path: Path) -> None:
    assert read_inputs(tmp_path, [version(tmp_path)]).learnt == RECORDS


def test_only_the_wanted_split_is_learnt_from(tmp_path: Path) -> None:
    wanted = version(tmp_path).model_copy(update={"split": "train"})
    assert read_inputs(tmp_path, [wanted]).learnt == [RECORDS[0], RECORDS[2], RECORDS[4]]


def test_a_merged_version_is_known_by_its_recipe_too(tmp_path: Path) -> None:
    wanted = version(tmp_path, RECIPE)
    assert read_inputs(tmp_path, [wanted]).learnt == RECORDS
    other = wanted.model_copy(update={"content_digest": content_digest(IDS)})
    with pytest.raises(DataIntegrityError):
        read_inputs(tmp_path, [other])


def test_a_record_in_another_split_is_noticed(tmp_path: Path) -> None:
    wanted = version(tmp_path)
    moved = ["train", "train", *SPLITS[2:]]
    with pytest.raises(DataIntegrityError, match="splits"):
        read_inputs(tmp_path, [wanted.model_copy(update={"split_digest": split_digest(moved)})])
    with pytest.raises(DataIntegrityError):
        read_inputs(tmp_path, [wanted.model_copy(update={"split_digest": None})])


def test_files_that_are_no_records_may_be_left_out(tmp_path: Path) -> None:
    wanted = version(tmp_path, extra="report.json")
    assert read_inputs(tmp_path, [wanted]).learnt == RECORDS
    report = tmp_path / "inputs" / "0" / "report.json"
    report.write_text("changed")
    with pytest.raises(DataIntegrityError):
        read_inputs(tmp_path, [wanted])
    report.unlink()
    assert read_inputs(tmp_path, [wanted]).learnt == RECORDS
    (tmp_path / "inputs" / "0" / "data" / "all-00000.parquet").write_bytes(b"more")
    with pytest.raises(DataIntegrityError):
        read_inputs(tmp_path, [wanted])


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    wanted = version(tmp_path)
    for path in (tmp_path / "inputs" / "0" / "data").glob("validation-*"):
        path.unlink()
    with pytest.raises(DataIntegrityError):
        read_inputs(tmp_path, [wanted])
    folder = tmp_path / "again"
    nothing = version(folder).model_copy(update={"split": "validation"})
    assert read_inputs(folder, [nothing]).learnt == [RECORDS[3]]


def test_a_version_without_splits_has_no_train(tmp_path: Path) -> None:
    wanted = version(tmp_path)
    folder = tmp_path / "inputs" / "0"
    text = (folder / "manifest.json").read_text()
    for split in set(SPLITS):
        (folder / "data" / f"{split}-00000.parquet").unlink()
    columns = {
        "position": list(range(1, 6)),
        "record_id": IDS,
        "record": [text_of(n) for n in range(5)],
    }
    path = folder / "data" / "all-00000.parquet"
    pq.write_table(pa.table(columns), path)
    manifest = Manifest.model_validate_json(text)
    entry = ManifestFile(
        path="data/all-00000.parquet", bytes=path.stat().st_size, digest=sha256_file(path)
    )
    (folder / "manifest.json").write_bytes(
        manifest.model_copy(update={"files": (entry,)}).to_bytes()
    )
    whole = wanted.model_copy(update={"split_digest": None})
    assert read_inputs(tmp_path, [whole]).learnt == RECORDS
    with pytest.raises(SpecRefusedError):
        read_inputs(tmp_path, [whole.model_copy(update={"split": "train"})])

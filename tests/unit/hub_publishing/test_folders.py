"""The folder of a version, as others read it: `datasets`, Croissant, PROV."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from adaptery.digests import content_digest, sha256_file, split_digest
from adaptery.errors import ConflictError, IntegrityError
from adaptery.records import Message, Record
from adaptery.schemas.lineage import Split
from adaptery.times import now
from adaptery_hub.publishing.folders import ContentTally, Original, Written, finish_folder
from adaptery_hub.publishing.headings import Heading
from adaptery_hub.publishing.reports import Tally, make_report
from adaptery_hub.publishing.shards import Row, ShardWriter, dump

CANARY = "canary-of-a-record"
SPLITS: tuple[Split, ...] = ("train", "train", "validation", "test")


def heading(**changes: object) -> Heading:
    facts = {
        "dataset_id": "ds_1",
        "version_id": "dv_1",
        "dataset_name": "@demo/visits",
        "number": 3,
        "sensitivity": "internal",
        "description": "Invented visits.\n---\nlicense: evil",
        "license": "cc-by-4.0",
        "creator_id": "tn_1",
        "created_at": now(),
    }
    return Heading(**{**facts, **changes})  # type: ignore[arg-type]


def records(count: int) -> list[Record]:
    return [
        Record.chat([Message("user", f"{CANARY} {n}?"), Message("assistant", f"Äußerst {n}.")])
        for n in range(count)
    ]


def made(folder: Path, split: bool = True, originals: tuple[Original, ...] = ()) -> Written:
    tally, content = Tally(), ContentTally()
    with ShardWriter(folder, 3) as shards:
        for n, record in enumerate(records(8), start=1):
            where = SPLITS[n % 4] if split else None
            row = Row(n, record.record_id(), dump(record.to_dict()), where)
            tally.add(record.kind, 10, where, "de")
            content.add(row)
            shards.add(row, record.kind)
    report = make_report(tally, [("fi_1", 8)], {"fi_1": "visits.json"}, 0)
    return finish_folder(folder, heading(), content, report, originals)


def test_what_was_written_is_what_lies_there(tmp_path: Path) -> None:
    written = made(tmp_path)
    ids = [record.record_id() for record in records(8)]
    assert written.content_digest == content_digest(ids)
    assert written.split_digest == split_digest([SPLITS[n % 4] for n in range(1, 9)])
    lying = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert {file.path for file in written.files} == lying
    for file in written.files:
        path = tmp_path / file.path
        assert (file.bytes, file.digest) == (path.stat().st_size, sha256_file(path))


def test_nothing_but_shards_and_originals_holds_content(tmp_path: Path) -> None:
    for file in made(tmp_path).files:
        if not file.path.endswith(".parquet"):
            assert CANARY.encode() not in (tmp_path / file.path).read_bytes(), file.path


@pytest.mark.parametrize("split", [True, False])
def test_datasets_loads_the_folder_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: bool
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "version"
    folder.mkdir()
    made(folder, split)
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    counts = {name: part.num_rows for name, part in loaded.items()}
    assert counts == ({"train": 4, "validation": 2, "test": 2} if split else {"train": 8})
    first = loaded["train"][0]
    assert json.loads(first["record"])["messages"][1]["content"].startswith("Äußerst")


def test_the_card_says_what_the_owner_said_and_no_more(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    made(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert (facts["license"], facts["language"]) == ("cc-by-4.0", ["de"])
    assert facts["size_categories"] == ["n<1K"]
    assert "Invented visits." in body and "| train | 4 |" in body


# The libraries of mlcroissant warn each other.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_croissant_is_valid_and_leads_to_the_records(tmp_path: Path) -> None:
    croissant = pytest.importorskip("mlcroissant")
    made(tmp_path)
    dataset = croissant.Dataset(jsonld=str(tmp_path / "croissant.json"))
    assert not dataset.metadata.issues.errors
    assert not dataset.metadata.issues.warnings
    (name, *_) = [record_set.name for record_set in dataset.metadata.record_sets]
    rows = list(dataset.records(name))
    assert json.loads(rows[0][f"{name}/record"])["kind"] == "chat"


def test_provenance_is_read_by_the_reference_library(tmp_path: Path) -> None:
    model = pytest.importorskip("prov.model")
    original = tmp_path / "fi_1"
    original.write_bytes(b"original")
    given = Original("fi_1", "visits.JSON", sha256_file(original), original)
    folder = tmp_path / "version"
    folder.mkdir()
    made(folder, originals=(given,))
    document = model.ProvDocument.deserialize(str(folder / "prov.json"), format="json")
    derived = [str(r) for r in document.get_records(model.ProvDerivation)]
    assert len(derived) == 1 and "adaptery:fi_1" in derived[0] and "adaptery:dv_1" in derived[0]
    assert (folder / "originals" / "fi_1.json").read_bytes() == b"original"


def test_an_original_that_changed_is_not_published(tmp_path: Path) -> None:
    original = tmp_path / "fi_1"
    original.write_bytes(b"changed")
    digest = f"sha256:{hashlib.sha256(b'original').hexdigest()}"
    for path, error in ((original, IntegrityError), (tmp_path / "gone", ConflictError)):
        folder = tmp_path / error.__name__
        folder.mkdir()
        with pytest.raises(error):
            made(folder, originals=(Original("fi_1", "a.json", digest, path),))


def test_only_plain_suffixes_of_names_get_into_paths(tmp_path: Path) -> None:
    names = ("a.json", "b", "c.../x", "d.jsön", "e." + "x" * 40, "..", "f.TSV")
    originals = []
    for number, name in enumerate(names):
        path = tmp_path / f"o{number}"
        path.write_bytes(b"x")
        originals.append(Original(f"fi_{number}", name, sha256_file(path), path))
    folder = tmp_path / "version"
    folder.mkdir()
    written = made(folder, originals=tuple(originals))
    kept = {file.name: file.path for file in written.files if file.name}
    assert kept == {
        "a.json": "originals/fi_0.json",
        "b": "originals/fi_1",
        "c.../x": "originals/fi_2",
        "d.jsön": "originals/fi_3",
        "e." + "x" * 40: "originals/fi_4",
        "..": "originals/fi_5",
        "f.TSV": "originals/fi_6.tsv",
    }

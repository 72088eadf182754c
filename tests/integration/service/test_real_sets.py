"""Public data sets through the whole service: imported, published, exported, loaded elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import adaptery
from adaptery.formats import read_records, suggest
from support.real_data import real_data
from support.service import Service, running_service

SETS = [
    # file, format, records, different ones
    ("mts-dialog/MTS-Dialog-TrainingSet.csv", "prompt", 1201, 1200),
    ("aci-bench/train.csv", "prompt", 67, 67),
    ("aci-bench/valid_subjective.json", "prompt", 20, 20),
    ("llamafactory-demo/identity.json", "alpaca", 91, 91),
    ("llamafactory-demo/glaive_toolcall_en_demo.json", "sharegpt", 300, 265),
    ("llamafactory-demo/dpo_en_demo.json", "preference", 300, 295),
    ("llamafactory-demo/kto_en_demo.json", "kto", 300, 300),
    ("fastchat-sharegpt/dummy_conversation.json", "sharegpt", 500, 500),
    ("moseley-coffee/moseley_treatise_concerning_coffee.txt", "text", 139, 139),
]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", max_upload_bytes=10_000_000) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(("name", "format", "count", "unique"), SETS)
async def test_a_public_set_goes_all_the_way(
    service: Service, tmp_path: Path, name: str, format: str, count: int, unique: int
) -> None:
    datasets = pytest.importorskip("datasets")
    source, folder = real_data(name), tmp_path / "exported"
    token = service.client("demo").headers["Authorization"].removeprefix("Bearer ")

    def all_the_way() -> None:
        with adaptery.connect(service.url, token) as hub:
            draft = hub.datasets.create("set")
            file = draft.upload(source, later=True)
            suggestion = draft.suggestion(file)
            assert suggestion.mapping is not None and suggestion.mapping.format == format
            assert suggestion.problems_in_preview == 0
            assert draft.import_file(file, suggestion.mapping).records == count
            version = draft.publish()
            assert version.info.records == unique
            report = version.export(folder, suggestion.mapping.format, "folder")
            assert (report.records, report.dropped, report.refused) == (unique, {}, 0)
            read = [entry.record for entry in read_records(folder, suggest(folder).mapping)]
            assert read == list(version.records())

    await asyncio.to_thread(all_the_way)
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == unique

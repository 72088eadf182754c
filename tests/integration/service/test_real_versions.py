"""Public data sets, published: every record comes back, and others can load it."""

import asyncio
import json
from pathlib import Path

import pytest

import adaptery
from adaptery.client import Hub
from adaptery.errors import InvalidInputError
from adaptery.records import Record
from support.real_data import real_data
from support.service import Service, running_service

#: File, different records, and how many there were.
FILES = [
    ("mts-dialog/MTS-Dialog-TrainingSet.csv", 1200, 1201),
    ("aci-bench/train.csv", 67, 67),
    ("aci-bench/valid_subjective.json", 20, 20),
    ("llamafactory-demo/identity.json", 91, 91),
    ("llamafactory-demo/glaive_toolcall_en_demo.json", 265, 300),
    ("llamafactory-demo/dpo_en_demo.json", 295, 300),
    ("llamafactory-demo/kto_en_demo.json", 300, 300),
    ("fastchat-sharegpt/dummy_conversation.json", 500, 500),
    ("moseley-coffee/moseley_treatise_concerning_coffee.txt", 139, 139),
]


def publish(hub: Hub, source: Path, root: Path, different: int, records: int) -> None:
    name = source.stem.lower().replace("_", "-")[:40].strip("-")
    dataset = hub.datasets.create(name)
    try:
        dataset.upload(source)
    except InvalidInputError:  # a doubt, which its suggestion settles
        dataset.import_file(source.name, dataset.suggestion(source.name).mapping)
    version = dataset.publish()
    report = version.info.report
    assert report is not None
    assert (version.info.records, report.draft_records) == (different, records)
    folder = version.download(root / name, originals=True)
    (original,) = (folder / "originals").iterdir()
    assert original.read_bytes() == source.read_bytes()
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(root / "cache"))
    back = [Record.from_dict(json.loads(text)) for text in loaded["record"]]
    assert back == list(version.records())
    assert [record.record_id() for record in back] == loaded["record_id"]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_public_data_sets_are_published_and_load(tmp_path: Path) -> None:
    sources = [(real_data(name), different, records) for name, different, records in FILES]

    def journey(service: Service) -> None:
        with adaptery.connect(service.url, "token-of-demo") as hub:
            for source, different, records in sources:
                publish(hub, source, tmp_path, different, records)

    async with running_service(tmp_path / "state") as service:
        service.client("demo", token="token-of-demo")
        await asyncio.to_thread(journey, service)

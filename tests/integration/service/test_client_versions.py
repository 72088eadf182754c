"""Versions as a notebook has them: saved, loaded, merged, compared, traced."""

import asyncio
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import adaptery
from adaptery.client import Dataset, Hub
from adaptery.errors import IntegrityError, InvalidInputError, NotAllowedError
from adaptery.records import Record
from adaptery.schemas.lineage import MergeFilter, MergeSource
from support.service import Client, Service, alpaca

TOKEN = "token-of-the-client"


def filled(hub: Hub, name: str, count: int, word: str, root: Path) -> Dataset:
    path = root / f"{name}.json"
    path.write_bytes(alpaca(count, word))
    dataset = hub.datasets.create(name)
    dataset.upload(path)
    return dataset


async def split(service: Service, dataset: str) -> None:
    """Give every third record to `test`, the others to `train`."""
    splits = [(n, "test" if n % 3 == 0 else "train") for n in range(1, 10)]
    await service.services.drafts.write(dataset, lambda draft: draft.set_splits(splits))


async def test_a_version_is_saved_loaded_merged_compared_and_traced(
    service: Service, demo: Client, tmp_path: Path
) -> None:
    service.client("demo", groups=("radiology",), token=TOKEN)
    loop = asyncio.get_running_loop()

    def journey() -> None:
        with adaptery.connect(service.url, TOKEN) as hub:
            visits = filled(hub, "visits", 9, "cough", tmp_path)
            whole = visits.publish()
            asyncio.run_coroutine_threadsafe(split(service, visits.id), loop).result()
            parted = visits.publish(description="In two parts.", license="cc0-1.0")
            assert (whole.info.splits, parted.info.splits) == (None, {"test": 3, "train": 6})
            # The same records, in other splits: the same content, another version.
            assert whole.info.content_digest == parted.info.content_digest
            assert list(whole.records()) == list(parted.records())
            check_saved(parted.download(tmp_path / "saved", originals=True))
            assert not list((whole.download(tmp_path / "whole") / "data").glob("train-*"))
            with pytest.raises(InvalidInputError):
                parted.download(tmp_path / "saved")

            letters = filled(hub, "letters", 4, "fever", tmp_path).publish()
            both = hub.datasets.create("both")
            train = MergeSource(version=parted.id, filter=MergeFilter(split="train"))
            merged = both.merge([train, letters.name], description="Two sources.")
            assert merged.info.records == 10
            folder = merged.download(tmp_path / "merged")
            ids = [r for p in (folder / "data").iterdir() for r in column(p, "record_id")]
            assert sorted(ids) == sorted(record.record_id() for record in merged.records())
            assert json.loads((folder / "recipe.json").read_text())["sources"][0]["filter"]

            difference = merged.diff(parted)
            # Of the three of `test`, one has the prompt of a letter, one the place of another.
            counts = difference.counts
            assert (counts.removed, counts.added, counts.changed, counts.same) == (1, 2, 2, 6)
            assert len(list(difference)) == 5
            record = next(merged.records())
            seen = hub.datasets.lineage(record)
            item = next(iter(hub.datasets.get("letters").records()))
            assert hub.datasets.lineage(item).record_id == item.record_id
            assert {one.name for one in seen.versions} == {
                "@demo/visits@1",
                "@demo/visits@2",
                "@demo/both@1",
            }
            kinds = {(node.kind, node.name) for node in merged.provenance().nodes}
            assert ("file", "letters.json") in kinds and ("version", parted.name) in kinds
            assert letters.withdraw("A reason.").info.state == "withdrawn"
            (shown,) = both.versions()
            assert shown.info.withdrawn_sources == 1

    await asyncio.to_thread(journey)


def column(path: Path, name: str) -> list[str]:
    return pq.read_table(path).column(name).to_pylist()


def check_saved(folder: Path) -> None:
    names = {path.name for path in (folder / "data").iterdir()}
    assert names == {"test-00000.parquet", "train-00000.parquet"}
    (original,) = (folder / "originals").iterdir()
    assert original.read_bytes() == alpaca(9, "cough")
    card = (folder / "README.md").read_text()
    assert "license: cc0-1.0" in card and "In two parts." in card
    records = column(folder / "data" / "train-00000.parquet", "record")
    assert all(Record.from_dict(json.loads(text)) for text in records)


async def test_what_is_tampered_with_on_its_way_is_not_saved(
    service: Service, tmp_path: Path
) -> None:
    service.client("demo", token=TOKEN)

    def save() -> None:
        with adaptery.connect(service.url, TOKEN) as hub:
            version = filled(hub, "visits", 3, "cough", tmp_path).publish()
            other = version.info.model_copy(update={"manifest_digest": "sha256:" + "0" * 64})
            version.info = other
            with pytest.raises(IntegrityError):
                version.download(tmp_path / "saved")
            assert sorted(path.name for path in tmp_path.iterdir()) == ["state", "visits.json"]

    await asyncio.to_thread(save)


async def test_originals_are_for_who_may_edit(
    service: Service, demo: Client, guest: Client, tmp_path: Path
) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(3))
    version = (await demo.publish(dataset))["result"]["version"]
    await demo.json(
        "PUT", f"api/datasets/{dataset}/grants", json={"principal": "@guest", "right": "view"}
    )
    path = f"api/versions/{version['id']}/download"
    manifest = await guest.json("GET", f"api/versions/{version['id']}/manifest")
    for file in manifest["files"]:
        answer = await guest.get(path, params={"file": file["path"]})
        assert answer.status_code == (403 if file["name"] else 200) if "name" in file else 200
    service.client("guest", token=TOKEN)

    def save() -> None:
        with adaptery.connect(service.url, TOKEN) as hub:
            (found,) = hub.datasets.get("@demo/visits").versions()
            assert not (found.download(tmp_path / "without") / "originals").exists()
            with pytest.raises(NotAllowedError):
                found.download(tmp_path / "with", originals=True)
            assert not (tmp_path / "with").exists()

    await asyncio.to_thread(save)


async def test_a_policy_keeps_in_what_nobody_looked_through(service: Service, demo: Client) -> None:
    from dataclasses import replace

    publisher = service.services.publisher
    publisher.rules = replace(publisher.rules, blocking={"open": ("pii",)})
    dataset = await demo.dataset(sensitivity="open")
    rows = [{"instruction": "Who?", "output": "Write to jo.doe@example.org, please."}]
    await demo.upload(dataset, json.dumps(rows).encode())
    failed = await demo.publish(dataset, state="failed")
    assert (failed["error"]["code"], failed["error"]["errors"][0]["where"]) == ("conflict", "pii")
    path = f"api/datasets/{dataset}/review"
    started = await demo.json("POST", path, 202, json={"queues": ["pii"]})
    await demo.ended(started["id"])
    failed = await demo.publish(dataset, state="failed")
    assert "1 findings" in failed["error"]["errors"][0]["reason"]
    decision = {"all": True, "decision": "ignore"}
    await demo.json("POST", f"{path}/pii/decisions", json=decision)
    report = (await demo.publish(dataset))["result"]["version"]["report"]
    assert report["review"]["pii"] == {"open": 0, "decided": 1}
    await demo.json("PATCH", f"api/datasets/{dataset}", json={"sensitivity": "internal"})


async def test_what_was_collated_is_a_source(service: Service, demo: Client) -> None:
    dataset = await demo.dataset("one", sensitivity="open")
    await demo.upload(dataset, alpaca(4))
    one = (await demo.publish(dataset))["result"]["version"]
    other = await demo.dataset("two", sensitivity="open")
    started = await demo.json(
        "POST", f"api/datasets/{other}/collate", 202, json={"sources": [{"version": one["id"]}]}
    )
    ended = await demo.ended(started["id"])
    assert ended["state"] == "completed", ended
    await demo.json("PATCH", f"api/datasets/{dataset}", json={"sensitivity": "restricted"})
    two = (await demo.publish(other))["result"]["version"]
    shown = await demo.json("GET", f"api/datasets/{other}")
    assert shown["sensitivity"] == "restricted"
    graph = await demo.json("GET", f"api/versions/{two['id']}/provenance")
    (edge,) = (edge for edge in graph["edges"] if edge["source"] == one["id"])
    assert edge["target"] == two["id"]
    assert edge["collated"] == [{"records": 4, "digest": one["content_digest"], "recipe": {}}]
    await demo.json("POST", f"api/versions/{one['id']}/withdraw", json={"reason": "Wrong."})
    assert (await demo.json("GET", f"api/versions/{two['id']}"))["withdrawn_sources"] == 1

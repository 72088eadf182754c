"""A version in another format: written for one answer, gone after it."""

import asyncio
import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

import adaptery
from adaptery.errors import InvalidInputError
from adaptery.formats import read_records, suggest
from adaptery.schemas.exports import ExportReport
from support.service import Client, Service

ROWS = [
    {"messages": [{"role": "user", "content": "=1+1"}, {"role": "assistant", "content": "two"}]},
    {
        "messages": [
            {"role": "user", "content": "And this?"},
            {"role": "assistant", "content": "Well.", "weight": 0.5},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "Search."},
            {"role": "assistant", "tool_calls": [{"name": "search", "arguments": {"q": "x"}}]},
        ]
    },
]


@pytest.fixture
async def version(demo: Client) -> str:
    dataset = await demo.dataset()
    await demo.upload(dataset, json.dumps(ROWS).encode(), "chats.json")
    return (await demo.publish(dataset))["result"]["version"]["id"]


async def test_a_version_comes_in_another_format_and_says_what_is_lost(
    service: Service, demo: Client, version: str
) -> None:
    answer = await demo.get(f"api/versions/{version}/export?format=prompt&container=csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].endswith('filename="visits-1.prompt.csv"')
    assert json.loads(answer.headers["x-export-report"]) == {
        "records": 2,
        "dropped": {"weights of messages": 1},
        "escaped_cells": 1,
        "refused": 1,
        "splits": {},
        "together": False,
    }
    first, second = csv.DictReader(io.StringIO(answer.text))
    assert first == {"prompt": "'=1+1", "completion": "two", "adaptery_escaped": "prompt"}
    assert second["completion"] == "Well."
    folder = service.services.settings.state_path / "cache" / "exports"
    assert list(folder.iterdir()) == []
    log = await demo.json(
        "GET", f"api/versions/{version}/export?format=prompt&container=csv&report=true"
    )
    (problem,) = log["problems"]
    assert problem["where"] == "record 3, messages[1]" and problem["remedy"]


async def test_the_client_saves_it(
    service: Service, demo: Client, version: str, tmp_path: Path
) -> None:
    token = demo.headers["Authorization"].removeprefix("Bearer ")

    def save() -> None:
        with adaptery.connect(service.url, token) as hub:
            (found,) = hub.datasets.get("visits").versions()
            for container in ("jsonl", "parquet", "folder"):
                path = (
                    tmp_path / container if container == "folder" else tmp_path / f"a.{container}"
                )
                report = found.export(path, "openai", container)
                assert (report.records, report.refused, report.dropped) == (3, 0, {})
                read = list(read_records(path, suggest(path).mapping))
                assert [entry.record for entry in read] == list(found.records())
            with pytest.raises(InvalidInputError, match="exists"):
                found.export(tmp_path / "a.jsonl")
            with pytest.raises(InvalidInputError):
                found.export(tmp_path / "b", "kto")
            assert sorted(path.name for path in tmp_path.iterdir() if path.name != "state") == [
                *("a.jsonl", "a.parquet", "folder"),
            ]

    await asyncio.to_thread(save)


async def test_wrong_words_are_refused(demo: Client, version: str) -> None:
    for query, where in (("format=openai", "container"), ("format=x&container=csv", "format")):
        answer = await demo.get(f"api/versions/{version}/export?{query}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["where"] == where


async def test_nothing_is_sent_where_no_record_fits(demo: Client, version: str) -> None:
    answer = await demo.get(f"api/versions/{version}/export?format=kto&container=jsonl")
    problem = answer.json()
    assert answer.status_code == 422 and len(problem["errors"]) == 3
    assert "cannot hold" in problem["errors"][0]["reason"]
    assert ExportReport(records=0).problems == ()


@pytest.fixture
async def split_version(demo: Client) -> str:
    """Publish five records to learn from, three to validate, two to test, one in no split."""
    dataset = await demo.dataset()
    rows = [{"text": f"Record {number}."} for number in range(11)]
    await demo.upload(dataset, json.dumps(rows).encode(), "texts.json")
    items = (await demo.json("GET", f"api/datasets/{dataset}/records?limit=50"))["items"]
    ids = [item["id"] for item in items]
    for split, wanted in (("train", ids[:5]), ("validation", ids[5:8]), ("test", ids[8:10])):
        path = f"api/datasets/{dataset}/records/bulk"
        body = {"records": wanted, "action": "split", "split": split}
        await demo.ended((await demo.json("POST", path, 202, json=body))["id"])
    return (await demo.publish(dataset))["result"]["version"]["id"]


COUNTS = {"train": 5, "validation": 3, "test": 2, "unsplit": 1}


async def test_a_folder_keeps_the_splits_apart_and_a_file_says_that_it_does_not(
    demo: Client, split_version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    path = f"api/versions/{split_version}/export?format=text&container="
    answer = await demo.get(f"{path}folder")
    assert json.loads(answer.headers["x-export-report"])["together"] is False
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    (folder,) = tmp_path.glob("visits-1")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == COUNTS
    assert loaded["validation"]["text"][0] == "Record 5."
    info = json.loads((folder / "dataset_info.json").read_text())
    assert list(info) == [f"visits-1_{split}" for split in COUNTS]
    assert all((folder / entry["file_name"]).is_file() for entry in info.values())

    report = json.loads((await demo.get(f"{path}jsonl")).headers["x-export-report"])
    assert (report["splits"], report["together"]) == (COUNTS, True)
    answer = await demo.get(f"{path}jsonl&split=test")
    report = json.loads(answer.headers["x-export-report"])
    assert (report["splits"], report["together"]) == ({"test": 2}, False)
    assert answer.headers["content-disposition"].endswith('"visits-1.test.text.jsonl"')
    assert len(answer.text.splitlines()) == 2
    assert len((await demo.get(f"{path}jsonl&split=none")).text.splitlines()) == 1


async def test_a_version_says_what_is_in_no_split(demo: Client, split_version: str) -> None:
    version = await demo.json("GET", f"api/versions/{split_version}")
    assert version["report"]["unsplit"] == 1
    card = (await demo.get(f"api/versions/{split_version}/download?file=README.md")).text
    assert "split: unsplit" in card and "| in no split (`unsplit`) | 1 |" in card


async def test_a_split_without_records_is_refused(demo: Client, version: str) -> None:
    answer = await demo.get(
        f"api/versions/{version}/export?format=openai&container=jsonl&split=test"
    )
    assert answer.status_code == 422 and answer.json()["errors"][0]["where"] == "split"

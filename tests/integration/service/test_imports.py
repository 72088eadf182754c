"""Imports: suggested, previewed, confirmed; what is wrong is listed; bytes stay as they came."""

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from adaptery.schemas.mappings import Mapping
from support.service import Client, Service, alpaca
from support.waiting import eventually

RECORDS = 45


def wrong_rows(count: int = RECORDS, wrong: tuple[int, ...] = (6, 21, 44)) -> bytes:
    """Return an Alpaca file with some records that have no answer."""
    rows = json.loads(alpaca(count))
    for number in wrong:
        rows[number]["output"] = ""
    return json.dumps(rows).encode()


async def receive(client: Client, dataset: str, content: bytes, name: str = "x.json") -> str:
    """Upload a file for later; return its path."""
    path = f"api/datasets/{dataset}/files/{name}"
    file = await client.json("PUT", path + "?import=later", 201, content=content)
    assert (file["state"], file["records"], file["original"]) == ("received", 0, True)
    return path


async def import_file(client: Client, path: str, state: str = "completed", **body: Any) -> Any:
    """Import a file; return the operation at its end."""
    operation = await client.json("POST", path + "/import", 202, json=body)
    assert operation["kind"] == "import"
    ended = await client.ended(operation["id"])
    assert ended["state"] == state, ended
    return ended


async def test_a_file_is_looked_at_before_it_is_imported(demo: Client) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, alpaca(RECORDS))
    assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 0
    suggestion = await demo.json("GET", path + "/suggestion")
    assert suggestion["confident"] and suggestion["mapping"]["format"] == "alpaca"
    assert suggestion["preview"][0]["record"]["messages"][1]["content"] == "S: cough 0."
    body = {"mapping": suggestion["mapping"]}
    preview = await demo.json("POST", path + "/preview", json=body)
    assert preview["preview"] == suggestion["preview"]
    assert (preview["problems_in_preview"], preview["preview"][-1]["number"]) == (0, 20)
    ended = await import_file(demo, path, **body)
    file = ended["result"]["file"]
    assert (file["state"], file["records"], file["problems"]) == ("ready", RECORDS, 0)
    assert Mapping.model_validate(file["mapping"]) == Mapping.model_validate(suggestion["mapping"])
    assert (await demo.json("GET", path)) == file
    assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == RECORDS
    again = await demo.json("POST", path + "/import", 409, json={})
    assert again["hint"]


async def test_a_refused_file_stays_and_lists_every_bad_record(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, wrong_rows())
    preview = (await demo.json("GET", path + "/suggestion"))["preview"]
    assert preview[6]["record"] is None and preview[6]["problem"]["reason"]
    ended = await import_file(demo, path, "failed")
    assert ended["error"]["code"] == "record_invalid" and len(ended["error"]["errors"]) == 3
    file = await demo.json("GET", path)
    assert (file["state"], file["problems"], file["records"]) == ("refused", 3, 0)
    assert "3 of 45" in file["reason"]
    page = await demo.json("GET", path + "/problems?limit=2")
    assert [item["number"] for item in page["items"]] == [7, 22] and page["has_more"]
    after = page["items"][-1]["id"]
    page = await demo.json("GET", f"{path}/problems?after={after}")
    assert [item["number"] for item in page["items"]] == [45] and not page["has_more"]
    table = await demo.get(path + "/problems?download=csv")
    rows = list(csv.DictReader(table.text.splitlines()))
    assert [row["number"] for row in rows] == ["7", "22", "45"]
    assert all(row["where"].endswith("output") and row["remedy"] for row in rows)
    lines = (await demo.get(path + "/problems?download=jsonl")).text.splitlines()
    assert json.loads(lines[0]).keys() == {"number", "where", "reason", "remedy"}
    assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 0

    skipped = await import_file(demo, path, bad_records="skip")
    file = skipped["result"]["file"]
    assert (file["state"], file["records"], file["problems"]) == ("ready", RECORDS - 3, 3)
    assert file["reason"] is None
    assert len((await demo.json("GET", path + "/problems"))["items"]) == 3
    await demo.json("DELETE", path, 204)
    folder = service.services.uploads.originals
    assert folder.kept(dataset) == []


async def test_a_mended_file_takes_the_place_of_a_refused_one(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, wrong_rows())
    await import_file(demo, path, "failed")
    refused = await demo.json("GET", path)
    file = await demo.upload(dataset, alpaca(RECORDS), "x.json")
    assert (file["id"], file["state"], file["problems"]) == (refused["id"], "ready", 0)
    assert (await demo.json("GET", path + "/problems"))["items"] == []
    assert len(service.services.uploads.originals.kept(dataset)) == 1


async def test_an_upload_can_go_on_without_the_bad_records(demo: Client) -> None:
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}/files/x.json?bad_records=skip"
    file = await demo.json("PUT", path, 201, content=wrong_rows())
    assert (file["records"], file["problems"]) == (RECORDS - 3, 3)


async def test_the_bytes_that_came_are_given_back(
    service: Service, demo: Client, guest: Client
) -> None:
    dataset, content = await demo.dataset(), alpaca(3)
    name = 'a "b"; ü.json'
    path = f"api/datasets/{dataset}/files/a%20%22b%22%3B%20%C3%BC.json"
    file = await demo.json("PUT", path, 201, content=content)
    assert file["name"] == name
    assert file["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    answer = await demo.get(path + "/content")
    assert answer.content == content
    assert answer.headers["Content-Disposition"].endswith("''a%20%22b%22%3B%20%C3%BC.json")
    assert (await guest.get(path + "/content")).status_code == 404
    original = await asyncio.to_thread(service.services.uploads.original, dataset, file["id"])
    assert original.read_bytes() == content
    assert original.stat().st_mode & 0o777 == 0o600


async def test_the_bytes_can_go_while_the_records_stay(service: Service, demo: Client) -> None:
    dataset, content = await demo.dataset(), alpaca(3)
    path = await receive(demo, dataset, content)
    await demo.json("DELETE", path + "/content", 409)
    await import_file(demo, path)
    await demo.json("DELETE", path + "/content", 204)
    await demo.json("GET", path + "/content", 404)
    file = await demo.json("GET", path)
    assert (file["state"], file["records"], file["original"]) == ("ready", 3, False)
    assert service.services.uploads.originals.kept(dataset) == []
    accounts = (await demo.json("GET", "api/storage"))["items"]
    assert accounts[0]["parts"]["uploads"] == 0
    await demo.json("DELETE", path + "/content", 409)
    assert (await demo.publish(dataset))["result"]["version"]["records"] == 3
    assert (await demo.upload(dataset, content, "x.json", 200))["id"] == file["id"]


async def test_files_of_the_same_content_share_their_bytes(service: Service, demo: Client) -> None:
    dataset, content = await demo.dataset(), alpaca(3)
    await demo.upload(dataset, content, "a.json")
    await demo.upload(dataset, content, "b.json")
    originals = service.services.uploads.originals
    assert len(originals.kept(dataset)) == 1
    await demo.json("DELETE", f"api/datasets/{dataset}/files/a.json", 204)
    answer = await demo.get(f"api/datasets/{dataset}/files/b.json/content")
    assert answer.content == content
    await demo.json("DELETE", f"api/datasets/{dataset}/files/b.json", 204)
    assert originals.kept(dataset) == []


async def test_a_large_file_is_imported_in_a_process_and_can_be_cancelled(
    service: Service, demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.imports.imports.SMALL_BYTES", 10)
    dataset = await demo.dataset()
    path = await receive(demo, dataset, alpaca(5))
    release = asyncio.Event()

    async def hold() -> None:
        async with service.services.drafts.exclusive(dataset):
            await release.wait()

    holding = asyncio.create_task(hold())
    operation = await demo.json("POST", path + "/import", 202, json={})
    assert (await demo.json("GET", path))["state"] == "importing"
    await demo.json("POST", path + "/import", 409, json={})
    cancelled = await demo.json("DELETE", f"api/operations/{operation['id']}")
    assert cancelled["state"] == "cancelled"
    assert (await demo.json("GET", path))["state"] == "received"
    release.set()
    await holding
    ended = await import_file(demo, path)
    assert ended["result"]["file"]["records"] == 5


async def test_a_file_and_a_dataset_can_go_while_they_are_imported(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, alpaca(5))
    draft = service.services.drafts.exclusive(dataset)
    async with draft:
        await demo.json("POST", path + "/import", 202, json={})
        going = asyncio.create_task(demo.json("DELETE", path, 204))
        await eventually(lambda: not service.services.imports.running(dataset))
    await going
    assert (await demo.json("GET", f"api/datasets/{dataset}/files"))["items"] == []
    path = await receive(demo, dataset, alpaca(5))
    async with service.services.drafts.exclusive(dataset):
        await demo.json("POST", path + "/import", 202, json={})
        going = asyncio.create_task(demo.json("DELETE", f"api/datasets/{dataset}", 204))
        await eventually(lambda: not service.services.imports.running(dataset))
    await going
    assert dataset not in service.services.uploads.originals.dataset_ids()
    assert dataset not in service.services.drafts.dataset_ids()


async def test_what_a_file_holds_is_for_who_edits(
    demo: Client, guest: Client, colleague: Client
) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, alpaca(2))
    grant = {"principal": "@guest", "right": "view"}
    await demo.json("PUT", f"api/datasets/{dataset}/grants", json=grant)
    await guest.json("GET", path + "/problems")
    mapping = {"format": "alpaca", "container": "json"}
    for method, name, body in (
        ("GET", "suggestion", None),
        ("POST", "preview", {"mapping": mapping}),
        ("GET", "content", None),
        ("POST", "import", {}),
    ):
        await guest.json(method, f"{path}/{name}", 403, json=body)
    await colleague.json("POST", path + "/import", 404, json={})


NOTES = (
    b'ID,dialogue,section_text\n0,"Doctor: A cough?\nPatient: Since Monday.",Cough since Monday.\n'
    b'1,"Doctor: Any pain?\nPatient: No.",No pain.\n'
)


async def test_a_table_comes_out_right_with_one_confirmation(demo: Client) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, NOTES, "notes.csv")
    suggestion = await demo.json("GET", path + "/suggestion")
    assert suggestion["why"] and {c["name"] for c in suggestion["columns"]} >= {"dialogue"}
    messages = suggestion["preview"][0]["record"]["messages"]
    assert [m["role"] for m in messages][-2:] == ["user", "assistant"]
    assert "Since Monday." in messages[-2]["content"]
    assert messages[-1]["content"] == "Cough since Monday."
    ended = await import_file(demo, path, mapping=suggestion["mapping"])
    file = ended["result"]["file"]
    assert (file["records"], file["container"]) == (2, "csv")
    assert set(file["mapping"]["columns"].values()) >= {"dialogue", "section_text"}


async def test_what_is_not_certain_is_not_imported_unasked(demo: Client) -> None:
    dataset = await demo.dataset()
    content = b"one,two\nsome words,other words\n"
    problem = await demo.upload(dataset, content, "odd.csv", 422)
    assert problem["hint"]
    assert (await demo.json("GET", f"api/datasets/{dataset}/files"))["items"] == []
    path = await receive(demo, dataset, content, "odd.csv")
    suggestion = await demo.json("GET", path + "/suggestion")
    assert not suggestion["confident"]
    await import_file(demo, path, "failed")
    assert (await demo.json("GET", path))["state"] == "refused"
    columns = {"instruction": "one", "output": "two"}
    mapping = {"format": "alpaca", "container": "csv", "columns": columns}
    assert (await import_file(demo, path, mapping=mapping))["result"]["file"]["records"] == 1
    assert (await demo.json("GET", path))["mapping"]["columns"] == columns


async def test_the_files_of_an_archive_are_one_file_here(service: Service, demo: Client) -> None:
    dataset, packed = await demo.dataset(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", alpaca(3))
        archive.writestr("more/b.json", alpaca(2, "fever"))
        archive.writestr("readme.bin", b"\x00\x01")
    path = await receive(demo, dataset, packed.getvalue(), "both.zip")
    suggestion = await demo.json("GET", path + "/suggestion")
    members = {member["name"]: member for member in suggestion["members"]}
    assert members["a.json"]["mapping"] and members["readme.bin"]["mapping"] is None
    assert len(suggestion["preview"]) == 5
    ended = await import_file(demo, path, mapping=suggestion["mapping"])
    assert ended["result"]["file"]["records"] == 5
    assert (await demo.get(path + "/content")).content == packed.getvalue()
    folder = service.services.settings.state_path / "uploads" / dataset
    assert [item.suffix for item in folder.iterdir()] == [".original"]


async def test_a_text_is_cut_by_words_if_no_model_is_here(demo: Client) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, b"one two three four five six seven", "book.txt")
    chunks = {"by": "tokens", "size": 3, "overlap": 1}
    mapping = {"format": "text", "container": "txt", "chunks": chunks}
    preview = await demo.json("POST", path + "/preview", json={"mapping": mapping})
    texts = [item["record"]["text"] for item in preview["preview"]]
    assert texts == ["one two three", "three four five", "five six seven"]
    assert preview["tokenizer"] is None
    file = (await import_file(demo, path, mapping=mapping))["result"]["file"]
    assert (file["records"], file["tokenizer"]) == (3, None)


async def test_a_mapping_that_does_not_fit_names_the_column(demo: Client) -> None:
    dataset = await demo.dataset()
    path = await receive(demo, dataset, NOTES, "notes.csv")
    columns = {"instruction": "dialog", "output": "section_text"}
    mapping = {"format": "alpaca", "container": "csv", "columns": columns}
    answer = await demo.post(path + "/preview", json={"mapping": mapping})
    assert "dialog" in answer.text
    unknown = {"mapping": {**mapping, "columns": {"nonsense": "dialogue"}}}
    assert (await demo.json("POST", path + "/import", 422, json=unknown))["errors"]


async def test_who_waits_for_a_draft_keeps_nobody_else_waiting(
    service: Service, demo: Client, guest: Client
) -> None:
    busy, free = await demo.dataset("busy"), await guest.dataset("free")
    paths = [await receive(demo, busy, alpaca(2, f"w{i}"), f"{i}.json") for i in range(6)]
    async with service.services.drafts.exclusive(busy):
        started = [await demo.json("POST", path + "/import", 202, json={}) for path in paths]
        assert (await guest.upload(free, alpaca(3)))["records"] == 3
    for operation in started:
        assert (await demo.ended(operation["id"]))["state"] == "completed"
    assert (await demo.json("GET", f"api/datasets/{busy}"))["records"] == 12


async def test_nobody_takes_the_place_of_a_file_that_another_looks_into(
    demo: Client, colleague: Client
) -> None:
    dataset = await demo.dataset(tenant="radiology")
    path = await receive(demo, dataset, alpaca(2))
    problem = await colleague.upload(dataset, alpaca(3), "x.json", 409)
    assert problem["hint"]
    assert (await demo.json("GET", path))["state"] == "received"
    await demo.json("PUT", path, 201, content=alpaca(3))

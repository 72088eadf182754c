"""Uploads: streamed, resumable, all or nothing."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator

import httpx
import pytest

from adaptery_hub.database.statements import files
from support.service import Client, Service, alpaca
from support.waiting import eventually

from .conftest import MAX_UPLOAD_BYTES


def archive(*members: tuple[str, bytes]) -> bytes:
    """Return a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return packed.getvalue()


WRONG = {
    "binary": (bytes(range(256)) * 40, "x.json", 422),
    "truncated": (alpaca(50)[:-40], "x.json", 422),
    "wrong columns": (json.dumps([{"a": 1}, {"b": 2}]).encode(), "x.json", 422),
    "empty": (b"", "x.json", 422),
    "no records": (b"[]", "x.json", 422),
    "too large": (b"[" + b" " * MAX_UPLOAD_BYTES + b"]", "x.json", 413),
    "no zip archive": (b"PK\x03\x04" + b"x" * 100, "x.json", 422),
    "a damaged archive": (archive(("a.json", alpaca(9)))[:-30], "x.zip", 422),
    "an archive that unpacks to very much": (archive(("a.json", b"[" * 20_000_000)), "x.zip", 413),
    "an archive that leaves its folder": (archive(("../../a.json", alpaca(9))), "x.zip", 422),
    "an archive in an archive": (archive(("a.zip", archive(("a.json", b"[]")))), "x.zip", 422),
    "no Parquet": (b"PAR1" + b"\x00\xff" * 500 + b"PAR1", "x.parquet", 422),
    "no Arrow": (b"ARROW1\x00\x00" + b"\xff\x00" * 500, "x.arrow", 422),
    "deep JSON": (b"[" * 100_000, "x.json", 422),
    "a table without an end": (b'dialogue,section_text\n"' + b"a" * 1000, "x.csv", 422),
}


async def assert_nothing_is_left(service: Service, client: Client, dataset: str) -> None:
    assert (await client.json("GET", f"api/datasets/{dataset}/files"))["items"] == []
    assert (await client.json("GET", f"api/datasets/{dataset}/records"))["items"] == []
    assert (await client.json("GET", f"api/datasets/{dataset}"))["records"] == 0
    uploads = service.services.settings.state_path / "uploads"
    assert [path for path in uploads.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_upload_is_explained_and_leaves_nothing(
    service: Service, demo: Client, case: str
) -> None:
    content, name, status = WRONG[case]
    dataset = await demo.dataset()
    problem = await demo.upload(dataset, content, name, status)
    assert problem["detail"] and (problem.get("hint") or problem.get("errors")), problem
    await assert_nothing_is_left(service, demo, dataset)


async def test_wrong_records_are_named_by_number_and_field(service: Service, demo: Client) -> None:
    rows = json.loads(alpaca(100))
    rows[6]["output"] = ""
    rows[41] = "not an object"
    dataset = await demo.dataset()
    problem = await demo.upload(dataset, json.dumps(rows).encode(), status=422)
    assert problem["code"] == "record_invalid"
    assert "2 of 100" in problem["detail"]
    assert problem["errors"][0]["where"].startswith("record 7")
    assert problem["errors"][1]["where"].startswith("record 42")
    assert all(entry["reason"] for entry in problem["errors"])
    await assert_nothing_is_left(service, demo, dataset)


async def test_a_body_without_a_length_is_cut_at_the_limit(service: Service, demo: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"["
        for _ in range(12):
            yield b" " * 20_000

    dataset = await demo.dataset()
    answer = await demo.put(f"api/datasets/{dataset}/files/x.json", content=pieces())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    await assert_nothing_is_left(service, demo, dataset)


async def test_an_upload_resumes_where_it_was_cut(demo: Client) -> None:
    content = alpaca(200)
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}/files/visits.json"
    total, half = len(content), len(content) // 2

    def part(first: int, last: int) -> dict:
        headers = {"Content-Range": f"bytes {first}-{last - 1}/{total}"}
        return {"content": content[first:last], "headers": headers}

    state = await demo.json("PUT", path, 202, **part(0, half))
    assert (state["state"], state["bytes"]) == ("receiving", half)
    refused = await demo.put(path, **part(half + 10, total))
    assert refused.status_code == 409
    assert refused.headers["X-Received-Bytes"] == str(half)
    assert str(half) in refused.json()["detail"]
    assert (await demo.json("GET", path))["bytes"] == half
    done = await demo.json("PUT", path, 201, **part(half, total))
    assert (done["state"], done["records"], done["bytes"]) == ("ready", 200, total)

    whole = await demo.dataset("whole")
    assert (await demo.upload(whole, content))["digest"] == done["digest"]


async def test_a_part_of_a_file_that_is_there_is_not_taken_for_the_whole(demo: Client) -> None:
    dataset, content = await demo.dataset(), alpaca(200)
    await demo.upload(dataset, content, "visits.json")
    path, half = f"api/datasets/{dataset}/files/visits.json", len(content) // 2
    other = content[:-10] + b" " * 10

    async def send(data: bytes, last_status: int) -> None:
        for first, end, status in ((0, half, 202), (half, len(data), last_status)):
            headers = {"Content-Range": f"bytes {first}-{end - 1}/{len(data)}"}
            await demo.json("PUT", path, status, content=data[first:end], headers=headers)

    await send(content, 200)
    await send(other, 409)
    assert (await demo.json("GET", path))["state"] == "ready"


async def test_a_file_says_that_its_records_are_being_imported(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}/files/x.json"
    file = await demo.json("PUT", path + "?import=later", 201, content=alpaca(1))
    assert (file["state"], file["original"]) == ("received", True)
    await service.services.db.write(lambda c: files.importing(c, file["id"]))
    assert (await demo.json("GET", path))["state"] == "importing"
    problem = await demo.upload(dataset, alpaca(1), "x.json", 409)
    assert problem["retry_after_seconds"]


@pytest.mark.parametrize("text", ["bytes 5-4/10", "bytes 0-10/10", "bytes=0-1", "items 0-1/2", "x"])
async def test_a_malformed_range_is_refused(demo: Client, text: str) -> None:
    path = f"api/datasets/{await demo.dataset()}/files/x.json"
    problem = await demo.json("PUT", path, 422, content=b"x", headers={"Content-Range": text})
    assert problem["errors"][0]["where"] == "Content-Range"


async def test_a_range_that_announces_too_much_is_refused_at_once(demo: Client) -> None:
    path = f"api/datasets/{await demo.dataset()}/files/x.json"
    headers = {"Content-Range": f"bytes 0-1/{MAX_UPLOAD_BYTES + 1}"}
    await demo.json("PUT", path, 413, content=b"[]", headers=headers)
    headers = {"Content-Range": "bytes 0-1/4"}
    await demo.json("PUT", path, 422, content=b"[][]", headers=headers)


async def test_the_same_file_again_changes_nothing(demo: Client) -> None:
    dataset = await demo.dataset()
    first = await demo.upload(dataset, alpaca(5))
    assert await demo.upload(dataset, alpaca(5), status=200) == first
    assert (await demo.upload(dataset, alpaca(6), status=409))["hint"]
    assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 5


async def test_two_requests_cannot_send_one_file_at_once(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}/files/x.json"
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield alpaca(5)[:10]
        begun.set()
        await go_on.wait()
        yield alpaca(5)[10:]

    first = asyncio.create_task(demo.put(path, content=slowly()))
    await begun.wait()
    await eventually(
        lambda: list((service.services.settings.state_path / "uploads").rglob("*.part"))
    )
    assert (await demo.put(path, content=alpaca(5))).status_code == 409
    go_on.set()
    assert (await first).status_code == 201


async def test_a_sender_that_vanishes_leaves_nothing(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    uploads = service.services.settings.state_path / "uploads"
    token = demo.headers["Authorization"]
    url = httpx.URL(service.url)
    _, writer = await asyncio.open_connection("127.0.0.1", url.port)
    writer.write(
        f"PUT {url.path}api/datasets/{dataset}/files/x.json HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {token}\r\nContent-Length: 1000\r\n\r\n[".encode()
    )
    await writer.drain()
    await eventually(lambda: list(uploads.rglob("*.part")))
    writer.close()
    await eventually(lambda: not list(uploads.rglob("*.part")))
    await assert_nothing_is_left(service, demo, dataset)
    await demo.upload(dataset, alpaca(1), "x.json")


async def test_a_removed_file_takes_its_records_along(demo: Client) -> None:
    dataset = await demo.dataset()
    file = await demo.upload(dataset, alpaca(5))
    await demo.upload(dataset, b"A text.\n\nAnother text.\n", "notes.txt")
    await demo.json("DELETE", f"api/datasets/{dataset}/files/{file['id']}", 204)
    items = (await demo.json("GET", f"api/datasets/{dataset}/records"))["items"]
    assert [item["record"]["kind"] for item in items] == ["text", "text"]
    assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 2
    await demo.json("DELETE", f"api/datasets/{dataset}/files/{file['id']}", 404)


@pytest.mark.parametrize(
    "name", ["a%2Fb", "%00", "%0a", "n" * 256, "fi_01hzzzzzzzzzzzzzzzzzzzzzzz"]
)
async def test_a_name_that_is_none_is_refused(demo: Client, name: str) -> None:
    path = f"api/datasets/{await demo.dataset()}/files/{name}"
    assert (await demo.put(path, content=b"[]")).status_code == 422


async def test_a_draft_has_a_limit_of_records(service: Service, demo: Client) -> None:
    service.services.drafts.max_records = 10
    dataset = await demo.dataset()
    assert (await demo.upload(dataset, alpaca(11), status=413))["code"] == "too_large"
    await assert_nothing_is_left(service, demo, dataset)


async def test_a_draft_has_a_limit_of_files(
    demo: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.database.statements.files.FILES_LIMIT", 2)
    dataset = await demo.dataset()
    for name in ("a.json", "b.json"):
        await demo.upload(dataset, alpaca(1, name), name)
    assert (await demo.upload(dataset, alpaca(1), "c.json", 413))["hint"]
    assert len(service.services.uploads.originals.kept(dataset)) == 2

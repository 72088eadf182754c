"""Large records must not let one request fill the memory of the service."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adaptery_hub import paging
from support.service import Client, Service, running_service

COUNT = 12
RECORD_BYTES = 10_000


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(paging, "PAGE_BYTES", 3 * RECORD_BYTES)
    async with running_service(tmp_path / "state") as running:
        yield running


async def pages(client: Client, path: str) -> list[list[str]]:
    """Walk a list to its end; return the texts of each page."""
    found: list[list[str]] = []
    after = "0"
    while True:
        page = await client.json("GET", path, params={"limit": 200, "after": after})
        found.append([item["record"]["text"] for item in page["items"]])
        if not page["has_more"]:
            return found
        after = page["items"][-1]["id"]


@pytest.mark.parametrize("size", [RECORD_BYTES, 4 * RECORD_BYTES])
async def test_a_page_of_large_records_is_short_and_the_list_is_whole(
    service: Service, size: int
) -> None:
    demo = service.client("demo")
    dataset = await demo.dataset()
    texts = [f"{number} " + "x" * size for number in range(COUNT)]
    await demo.upload(dataset, "\n\n".join(texts).encode(), name="notes.txt")
    operation = await demo.publish(dataset)
    version = operation["result"]["version"]["id"]
    for path in (f"api/datasets/{dataset}/records", f"api/versions/{version}/records"):
        walked = await pages(demo, path)
        assert [text for page in walked for text in page] == texts
        assert max(len(page) for page in walked) <= 3
    lines = (await demo.get(f"api/versions/{version}/download")).text.splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts

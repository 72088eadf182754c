"""Jobs over HTTP, on a service without any machine to train on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.service import Client, Service, alpaca, running_service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    state = tmp_path / "state"
    async with running_service(state, base_models={"tiny": "/models/tiny"}) as running:
        yield running


async def published(client: Client, name: str = "visits") -> str:
    dataset = await client.dataset(name)
    await client.upload(dataset, alpaca(3))
    return (await client.publish(dataset))["result"]["version"]["id"]


async def test_a_request_with_a_key_is_answered_with_one_job(demo: Client, guest: Client) -> None:
    body = {"name": "notes", "dataset": await published(demo), "key": "k-1"}
    sent = (demo.json("POST", "api/jobs", 201, json=body) for _ in range(4))
    first, *others = await asyncio.gather(*sent)
    assert {job["id"] for job in others} == {first["id"]} and "key" not in first
    problem = await demo.json("POST", "api/jobs", 409, json=body | {"name": "letters"})
    assert problem["code"] == "conflict" and problem["errors"][0]["where"] == "key"
    assert len((await demo.json("GET", "api/jobs"))["items"]) == 1
    # To somebody else it is a key like any other.
    await guest.json("POST", "api/jobs", 404, json=body)
    theirs = body | {"dataset": await published(guest)}
    assert (await guest.json("POST", "api/jobs", 201, json=theirs))["id"] != first["id"]


@pytest.mark.parametrize("key", ["", "a b", "k" * 65, "schlüssel", "a\n", 7])
async def test_a_key_has_a_form(demo: Client, key: object) -> None:
    body = {"name": "notes", "dataset": "@demo/visits", "key": key}
    problem = await demo.json("POST", "api/jobs", 422, json=body)
    assert [entry["where"] for entry in problem["errors"]] == ["key"]

"""Limits over HTTP: who sets them, what is answered at them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adaptery_hub.database import tables
from adaptery_hub.limits import Limit
from support.own_keys import keep_all
from support.schema import ON_POSTGRESQL
from support.served_adapters import Fleet, add_adapter, serve
from support.service import Client, Service, running_service
from support.shared_things import OPTIONS, make_things
from support.waiting import eventually

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[tuple[Service, Fleet, Client, str]]:
    async with running_service(tmp_path / "state", **OPTIONS) as service:
        fleet = await serve(service)
        compute = service.services.compute
        assert compute is not None
        compute.gateway._limits = service.services.limits
        demo = service.client("demo", groups=("radiology",))
        await demo.json("GET", "api/whoami")
        job = (await make_things(service, demo))["job"]
        adapter = await add_adapter(service, demo, group="radiology")
        row = tables.adapters.update().where(tables.adapters.c.id == adapter)
        await service.services.db.write(lambda c: c.execute(row.values(job_id=job, rank=8)))
        yield service, fleet, demo, adapter


async def ask(client: Client, status: int = 200, **more: Any) -> Any:
    body = {"model": "radiology/soap", **CHAT, **more}
    answer = await client.post("v1/chat/completions", json=body)
    assert answer.status_code == status, answer.text
    return answer


async def test_a_manager_sets_the_limits_of_an_adapter(stage) -> None:
    _, _, demo, adapter = stage
    limits = {"answers": 1, "requests_per_minute": 2}
    changed = await demo.json("PATCH", f"api/adapters/{adapter}", json={"limits": limits})
    assert changed["limits"] == {**limits, "tokens_per_day": None}
    assert (await demo.json("GET", f"api/adapters/{adapter}"))["limits"]["answers"] == 1
    first = await ask(demo)
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    await ask(demo)
    refused = await ask(demo, 429)
    error = refused.json()["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert "This adapter has had 2 requests in this minute" in error["message"]
    assert int(refused.headers["retry-after"]) > 0
    await demo.json("PATCH", f"api/adapters/{adapter}", json={"limits": {}})
    await ask(demo)


async def test_who_only_uses_an_adapter_sets_nothing(stage) -> None:
    service, _, demo, adapter = stage
    guest, stranger = service.client("guest"), service.client("stranger")
    for client in (guest, stranger):
        await client.json("GET", "api/whoami")
    grant = {"principal": "@guest", "right": "edit"}
    await demo.json("PUT", f"api/adapters/{adapter}/grants", json=grant)
    body = {"limits": {"answers": 1}}
    await guest.json("PATCH", f"api/adapters/{adapter}", 403, json=body)
    await stranger.json("PATCH", f"api/adapters/{adapter}", 404, json=body)
    assert (await demo.json("GET", f"api/adapters/{adapter}"))["limits"] is None


@pytest.mark.parametrize(
    "limits", [{"answers": 0}, {"answers": -1}, {"other": 1}, {"answers": 10**12}, "none", None]
)
async def test_limits_that_are_none_are_refused(stage, limits: Any) -> None:
    _, _, demo, adapter = stage
    await demo.json("PATCH", f"api/adapters/{adapter}", 422, json={"limits": limits})


async def test_an_answer_that_runs_counts_until_its_client_leaves(stage) -> None:
    service, fleet, demo, _ = stage
    service.services.limits._owner = Limit(answers=1)
    other = service.client("other", groups=("radiology",))
    fleet.held = True
    body = {"model": "radiology/soap", **CHAT, "stream": True}
    async with demo.stream("POST", "v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        error = (await ask(other, 429)).json()["error"]
        assert "The adapters of this owner have 1 of at most 1 answers running" in error["message"]
    fleet.held = False

    async def may_again() -> bool:
        answer = await other.post("v1/chat/completions", json={**body, "stream": False})
        return answer.status_code == 200

    await eventually(may_again)


async def test_max_tokens_is_cut_to_what_is_left_of_today(stage) -> None:
    service, fleet, demo, _ = stage
    service.services.limits._user = Limit(tokens_per_day=100)
    await ask(demo, max_tokens=500)
    assert fleet.request()["max_tokens"] == 100
    answer = await ask(demo, max_tokens=500)  # the first cost five
    assert fleet.request()["max_tokens"] == 95
    assert answer.headers["x-ratelimit-limit-tokens"] == "100"
    answers = await asyncio.gather(*(ask_any(demo) for _ in range(8)))
    assert {status for status, _ in answers} <= {200, 429}
    service.services.limits._user = Limit(tokens_per_day=5)
    refused = await ask(demo, 429)
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"


async def ask_any(client: Client) -> tuple[int, str]:
    answer = await client.post(
        "v1/chat/completions", json={"model": "radiology/soap", **CHAT, "max_tokens": 60}
    )
    return answer.status_code, answer.text


@pytest.mark.skipif(ON_POSTGRESQL, reason="the trigger is one of SQLite's")
async def test_what_cannot_be_given_back_spoils_no_answer(stage) -> None:
    service, _, demo, _ = stage
    service.services.limits._user = Limit(tokens_per_day=10_000)
    await keep_all(service, "running_answers")
    asked = {"model": "radiology/soap", **CHAT, "stream": True}
    async with demo.stream("POST", "v1/chat/completions", json=asked) as answer:
        assert [line async for line in answer.aiter_lines() if line][-1] == "data: [DONE]"

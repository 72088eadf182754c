"""What a program asks with an own key: narrow, limited, and ended while it streams."""

import asyncio
import logging
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import sqlalchemy as sa

from adaptery.key_secrets import make_secret
from adaptery.times import now
from adaptery_hub import logs
from adaptery_hub.database import tables
from adaptery_hub.routes import all_routes
from support.hub_tables import BASE
from support.own_keys import (
    CHAT,
    HELLO,
    change,
    keep_all,
    make_key,
    model_ids,
    new_program,
    program,
)
from support.served_adapters import Fleet, add_adapter
from support.service import Client, Service
from support.waiting import eventually

# -- what a key reaches -----------------------------------------------------------------------


async def test_a_key_answers_with_its_adapter_and_is_accounted_for(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    made = await make_key(demo, "soap")
    key = program(service, made["secret"])
    answer = await key.json("POST", CHAT, json={**HELLO, "model": "@demo/soap"})
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert answer["model"] == "@demo/soap@1" and fleet.adapter() == soap
    rows = await service.services.db.read(lambda c: list(c.execute(sa.select(tables.usage))))
    assert [(row.key_id, row.completion_tokens) for row in rows] == [(made["id"], 2)]
    (listed,) = (await demo.json("GET", "api/keys"))["items"]
    assert listed["last_used_at"] is not None
    assert made["tokens_today"] == 0
    assert listed["tokens_today"] == rows[0].prompt_tokens + rows[0].completion_tokens > 2
    yesterday = now() - timedelta(days=1)
    await change(service, tables.usage.update().values(created_at=yesterday))
    assert (await demo.json("GET", "api/keys"))["items"][0]["tokens_today"] == 0


async def test_a_key_sees_its_adapters_and_nothing_else(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    await add_adapter(service, demo, "other")
    key = await new_program(service, demo, "soap")
    assert await model_ids(key) == ["@demo/soap@1"]
    assert (await key.json("GET", "v1/models/@demo/soap"))["id"] == "@demo/soap@1"
    for model in ("@demo/other", "other", "@demo/never", "@demo/soap@2"):
        await key.json("GET", f"v1/models/{model}", 404)
        await key.json("POST", CHAT, 404, json={**HELLO, "model": model})
    assert fleet.asked == []


async def test_a_key_with_several_adapters_reaches_no_base_model(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    await add_adapter(service, demo, "other")
    key = await new_program(service, demo, "soap", "other")
    assert sorted(await model_ids(key)) == ["@demo/other@1", "@demo/soap@1"]
    for model in ("", BASE):
        await key.json("POST", CHAT, 404, json={**HELLO, "model": model})
    await key.json("POST", CHAT, 404, json=HELLO)
    await key.json("POST", CHAT, json={**HELLO, "model": "other"})
    assert [order.target.model for _, order in fleet.asked] == ["@demo/other@1"]


async def test_a_key_is_for_the_versions_that_it_was_made_for(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    key = await new_program(service, demo, "soap")
    await add_adapter(service, demo)
    answer = await key.json("POST", CHAT, json={**HELLO, "model": "@demo/soap"})
    assert answer["model"] == "@demo/soap@1"
    await key.json("POST", CHAT, 404, json={**HELLO, "model": "@demo/soap@2"})


async def test_a_key_that_may_only_read_does_not_infer(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    key = await new_program(service, demo, "soap", verbs=["read"])
    assert await model_ids(key) == ["@demo/soap@1"]
    error = (await key.json("POST", CHAT, 403, json=HELLO))["error"]
    assert (error["code"], error["type"]) == ("not_allowed", "permission_error")


async def test_every_route_is_closed_to_keys_but_the_few(
    service: Service, demo: Client, soap: str
) -> None:
    made = await make_key(demo, "soap", verbs=["infer", "read", "embed"])
    key = program(service, made["secret"])
    stranger = program(service, make_secret())
    open_to_keys = set()
    for route in all_routes():
        path = route.template.replace(":path", "")
        for name in route.parameters:
            path = path.replace(f"{{{name}}}", "ds_01hzzzzzzzzzzzzzzzzzzzzzzz")
        for method, operation in route.methods.items():
            if operation.scope in ("open", "worker"):  # of nobody's key; workers have a secret
                continue
            answer = await key.request(method, path, json={})
            if operation.keys:
                open_to_keys.add((method, route.template))
                assert answer.status_code in (200, 400, 404, 422, 503), (method, path, answer.text)
                continue
            assert answer.status_code == 403, (method, path, answer.status_code, answer.text)
            assert "location" not in answer.headers
            assert "own key reaches" in answer.text
            refused = await stranger.request(method, path, json={})
            # The page sends whoever it does not know to the login.
            expected = 302 if operation.scope == "session" else 401
            assert refused.status_code == expected, (method, path, refused.text)
    assert open_to_keys == {
        ("GET", "v1/models"),
        ("GET", "v1/models/{name:path}"),
        ("POST", "v1/chat/completions"),
        ("POST", "v1/completions"),
        ("POST", "v1/embeddings"),
        ("GET", "a/{tenant}/{adapter}/v1/models"),
        ("GET", "a/{tenant}/{adapter}/v1/models/{name:path}"),
        ("POST", "a/{tenant}/{adapter}/v1/chat/completions"),
        ("POST", "a/{tenant}/{adapter}/v1/completions"),
        ("POST", "a/{tenant}/{adapter}/v1/embeddings"),
        ("POST", "lorax"),
        ("POST", "lorax/"),
        ("POST", "lorax/generate"),
        ("POST", "lorax/generate_stream"),
        ("GET", "lorax/info"),
        ("GET", "lorax/health"),
        ("POST", "sealed/offer"),
        ("POST", "sealed/send"),
    }


async def test_a_key_goes_into_the_header_and_never_to_the_hub(
    service: Service, demo: Client, soap: str
) -> None:
    secret = (await make_key(demo, "soap"))["secret"]
    asked: list[str] = []
    identify = service.identities.identify

    async def spy(handler: Any, *, fresh: bool) -> Any:
        asked.append(handler.request.headers.get("Authorization", ""))
        return await identify(handler, fresh=fresh)

    service.identities.identify = spy  # type: ignore[method-assign]
    for value in (f"bearer {secret}", f"Bearer  {secret}", f"token {secret}", f"BEARER {secret}"):
        client = service.anonymous({"Authorization": value})
        await client.json("GET", "v1/models")
    for wrong in (secret[:-1], secret + "x", secret.upper(), "ak-", "ak-x", f"{secret},{secret}"):
        client = service.anonymous({"Authorization": f"Bearer {wrong}"})
        error = (await client.json("GET", "v1/models", 401))["error"]
        assert "whole key" in error["message"] and secret[7:-6] not in error["message"]
    assert asked == []
    dead = service.anonymous({"Authorization": f"Bearer {make_secret()}"})
    assert "not in force" in (await dead.json("GET", "v1/models", 401))["error"]["message"]
    for url in (f"v1/models?token={secret}", f"v1/models?api_key={secret}"):
        await service.anonymous().json("GET", url, 401)
    for headers in ({"apiKey": secret}, {"X-API-Key": secret}, {"Cookie": f"token={secret}"}):
        await service.anonymous(headers).json("GET", "v1/models", 401)


async def test_no_log_line_holds_a_secret(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    stream, root = StringIO(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        secret = (await make_key(demo, "soap"))["secret"]
        key = program(service, secret)
        await key.json("POST", CHAT, json=HELLO)
        await key.json("GET", "api/datasets", 403)
        await key.json("GET", f"v1/models/{secret}", 404)
        await program(service, secret[:-1]).json("GET", "v1/models", 401)
        await demo.json("POST", "api/datasets", 422, json={"name": secret, secret: 1})
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert '"event": "request"' in stream.getvalue()
    assert secret[7:-6] not in stream.getvalue()
    assert secret[7:-6] not in service.services.metrics.render().decode()


# -- streams ----------------------------------------------------------------------------------


async def stream_ends(service: Service, fleet: Fleet, key: Client, end: Any) -> str:
    """Open a stream, do `end`, and return what came until the stream was over."""
    service.services.admissions.look_again_seconds = 0.05
    fleet.held = True
    body = {**HELLO, "stream": True}
    async with key.stream("POST", CHAT, json=body) as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        first = await anext(lines)
        assert "He" in first
        await end()
        rest = [line async for line in lines]
    await asyncio.wait_for(fleet.freed.wait(), 5)
    assert "data: [DONE]" not in rest
    return "\n".join(rest)


async def test_revoking_ends_running_streams(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    made = await make_key(demo, "soap")
    key = program(service, made["secret"])

    async def revoke() -> None:
        await demo.json("DELETE", f"api/keys/{made['id']}", 204)

    assert "This key is not in force" in await stream_ends(service, fleet, key, revoke)


async def test_rotating_without_overlap_ends_running_streams(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    made = await make_key(demo, "soap")
    key = program(service, made["secret"])

    async def rotate() -> None:
        await demo.json("POST", f"api/keys/{made['id']}/rotate", json={})

    assert "This key is not in force" in await stream_ends(service, fleet, key, rotate)


async def test_a_key_that_gets_nothing_back_gets_its_whole_stream(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    made = await make_key(demo, "soap", tokens_per_day=1000)
    await keep_all(service, "reservations")
    asked = {**HELLO, "stream": True}
    async with program(service, made["secret"]).stream("POST", CHAT, json=asked) as answer:
        assert [line async for line in answer.aiter_lines() if line][-1] == "data: [DONE]"


@pytest.mark.parametrize("how", ["left", "revoked", "rotated"])
async def test_a_cut_stream_counts_for_its_key(
    service: Service, demo: Client, soap: str, fleet: Fleet, how: str
) -> None:
    made = await make_key(demo, "soap", tokens_per_day=1000)
    prompt = {"messages": [{"role": "user", "content": "x" * 400}], "stream": True}
    fleet.held = True
    async with program(service, made["secret"]).stream("POST", CHAT, json=prompt) as answer:
        lines = answer.aiter_lines()
        assert "He" in await anext(lines)
        if how == "revoked":
            await demo.json("DELETE", f"api/keys/{made['id']}", 204)
        elif how == "rotated":
            await demo.json("POST", f"api/keys/{made['id']}/rotate", json={})
        if how != "left":
            async with asyncio.timeout(5):
                [line async for line in lines]

    async def counted() -> list[dict[str, Any]]:
        answer = await demo.json("GET", "api/usage", params={"by": "key"})
        return [row for row in answer["items"] if row["key_id"] == made["id"]]

    (row,) = await eventually(counted)
    assert (row["requests"], row["cancelled"], row["completion_tokens"]) == (1, 1, 1)
    assert row["prompt_tokens"] >= 100


async def test_what_another_replica_revokes_ends_here_too(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    key = await new_program(service, demo, "soap")
    revoked = tables.keys.update().values(revoked_at=now())
    ended = await stream_ends(service, fleet, key, lambda: change(service, revoked))
    assert "This key is not in force" in ended


async def test_a_key_in_force_hears_that_the_right_has_ended(
    service: Service, demo: Client, guest: Client, soap: str, fleet: Fleet
) -> None:
    grants = f"api/adapters/{soap}/grants"
    await demo.json("PUT", grants, json={"principal": "@guest", "right": "use"})
    key = await new_program(service, guest, "@demo/soap")

    async def take_away() -> None:
        await demo.json("DELETE", grants, 204, params={"principal": "@guest"})

    ended = await stream_ends(service, fleet, key, take_away)
    assert "You may not use this adapter any more." in ended and '"not_found"' in ended


async def test_a_long_stream_is_one_request_of_the_minute(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    made = await make_key(demo, "soap", requests_per_minute=1)
    key = program(service, made["secret"])
    looked = 0
    identify = service.services.keys.identify

    async def count(secret: str) -> Any:
        nonlocal looked
        looked += 1
        return await identify(secret)

    service.services.keys.identify = count  # type: ignore[method-assign]

    async def revoke() -> None:
        async def twice() -> bool:
            return looked > 2

        await eventually(twice)
        await demo.json("DELETE", f"api/keys/{made['id']}", 204)

    assert "rate_limit" not in await stream_ends(service, fleet, key, revoke)


# -- limits -----------------------------------------------------------------------------------


async def test_requests_per_minute(service: Service, demo: Client, soap: str, fleet: Fleet) -> None:
    key = await new_program(service, demo, "soap", requests_per_minute=2)
    left = []
    for _ in range(2):
        answer = await key.post(CHAT, json=HELLO)
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        left.append(answer.headers["x-ratelimit-remaining-requests"])
    assert left == ["1", "0"]
    refused = await key.post(CHAT, json=HELLO)
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(refused.headers["retry-after"]) <= 30
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")


async def test_tokens_per_day(service: Service, demo: Client, soap: str, fleet: Fleet) -> None:
    made = await make_key(demo, "soap", tokens_per_day=8)
    key = program(service, made["secret"])
    for remaining in (8, 3):  # USAGE is 3 + 2 tokens
        answer = await key.post(CHAT, json={**HELLO, "max_tokens": 500})
        assert answer.status_code == 200
        assert fleet.request()["max_tokens"] == remaining
        assert answer.headers["x-ratelimit-limit-tokens"] == "8"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "0"
    refused = await key.post(CHAT, json=HELLO)
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert 0 < int(refused.headers["retry-after"]) <= 24 * 3600
    assert refused.headers["x-should-retry"] == "false"
    assert len(fleet.asked) == 2
    assert await model_ids(key) == ["@demo/soap@1"]
    rows = await service.services.db.read(
        lambda c: c.execute(sa.select(sa.func.count(tables.reservations.c.id))).scalar()
    )
    assert rows == 0


async def test_a_client_that_leaves_gives_its_tokens_back(
    service: Service, demo: Client, soap: str, fleet: Fleet
) -> None:
    key = await new_program(service, demo, "soap", tokens_per_day=50)
    fleet.held = True
    async with key.stream("POST", CHAT, json={**HELLO, "stream": True}) as answer:
        await anext(answer.aiter_lines())
        refused = await key.post(CHAT, json=HELLO)
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(refused.headers["retry-after"]) < 60
    fleet.held = False

    async def free() -> bool:
        return (await key.post(CHAT, json=HELLO)).status_code == 200

    await eventually(free)

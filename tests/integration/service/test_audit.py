"""The audit as administrators read it."""

import logging
from pathlib import Path
from typing import Any

import pytest

from adaptery.commands import main
from support.hub_tables import BASE, OTHER_WEIGHTS, WEIGHTS
from support.served_adapters import BASE_MODELS, add_adapter, serve
from support.service import Client, Service, alpaca, running_service
from support.shared_things import make_adapter

ADMIN = ("read", "write", "infer", "admin")


@pytest.fixture
async def boss(service: Service, demo: Client, guest: Client) -> Client:
    """An administrator, after two users have done something."""
    adapter = await add_adapter(service, demo)
    for name in ("one", "two"):
        body = {"name": name, "adapters": [adapter]}
        await demo.json("POST", "api/keys", 201, json=body)
    grant = {"principal": "@guest", "right": "use"}
    await demo.json("PUT", f"api/adapters/{adapter}/grants", json=grant)
    await guest.json("POST", "api/keys", 201, json={"name": "three", "adapters": [adapter]})
    return service.client("boss", scopes=ADMIN)


async def found(client: Client, query: str = "") -> list[Any]:
    return (await client.json("GET", f"api/audit?{query}"))["items"]


async def test_rows_are_listed_newest_first_and_paged(boss: Client) -> None:
    every = await found(boss)
    assert [row["action"] for row in every][:1] == ["key.create"]
    assert [row["seq"] for row in every] == list(range(len(every), 0, -1))
    assert every[-2]["row_hash"] == every[-3]["prev"]
    page = await boss.json("GET", "api/audit?limit=2")
    assert page["has_more"] and page["items"] == every[:2]
    assert await found(boss, f"after={every[1]['id']}") == every[2:]


async def test_rows_are_found_by_actor_thing_action_and_time(boss: Client) -> None:
    every = await found(boss)
    of_demo = await found(boss, "actor=@demo")
    assert of_demo == [row for row in every if row["actor"] == "@demo"] != every
    assert await found(boss, f"actor={of_demo[0]['actor_id']}") == of_demo
    assert len(await found(boss, "actor=@demo&action=key.create")) == 2
    key = (await found(boss, "action=key.create"))[0]
    assert await found(boss, f"thing={key['thing_id']}") == [key]
    assert await found(boss, f"request={key['request_id']}") == [key]
    assert await found(boss, "to=2020-01-01") == []
    assert await found(boss, "from=2020-01-01") == every
    await boss.json("GET", "api/audit?actor=@nobody", 404)
    for query in ("from=x", "thing=x", "request=ad_1", "action=%00", "action=A", "of=x"):
        await boss.json("GET", f"api/audit?{query}", 422)


async def test_what_is_downloaded_is_written_down(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(3))
    version = (await demo.publish(dataset))["result"]["version"]
    wanted = {"name": "soap", "dataset": version["id"]}
    job = (await demo.json("POST", "api/jobs", 201, json=wanted))["id"]
    adapter = await make_adapter(service, demo, job, "soap")
    boss = service.client("boss", scopes=ADMIN)
    path = f"api/versions/{version['id']}/download"
    assert (await demo.get(path)).status_code == 200
    manifest = await demo.get(path, params={"file": "manifest.json"})
    assert manifest.status_code == 200
    assert (await demo.get(path, params={"file": "nothing"})).status_code == 404
    assert (await demo.get(f"api/adapters/{adapter}/download")).status_code == 200
    first, second = reversed(await found(boss, "action=version.download"))
    assert (first["actor"], first["thing_id"]) == ("@demo", version["id"])
    told = {"name": version["name"], "content_digest": version["content_digest"]}
    assert first["details"] == told
    assert second["details"] == {**told, "file": "manifest.json"}
    assert second["request_id"] == manifest.headers["X-Request-Id"]
    (third,) = await found(boss, f"action=adapter.download&thing={adapter}")
    assert third["details"]["weight_digest"] == OTHER_WEIGHTS
    assert third["details"]["name"] == "@demo/soap@1"


async def test_answers_name_the_weights_that_gave_them(tmp_path: Path) -> None:
    async with running_service(tmp_path, base_models=BASE_MODELS) as service:
        demo, boss = service.client("demo"), service.client("boss", scopes=ADMIN)
        await serve(service)
        await add_adapter(service, demo)
        for model, digest in ((BASE, WEIGHTS), ("@demo/soap", OTHER_WEIGHTS)):
            body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
            answer = await demo.post("v1/chat/completions", json=body)
            assert answer.status_code == 200
            (row,) = await found(boss, f"request={answer.headers['X-Request-Id']}")
            assert row["details"]["digests"] == [digest]


async def test_only_administrators_read_it(demo: Client, boss: Client) -> None:
    assert (await demo.get("api/audit")).status_code == 403
    assert await found(boss)


async def test_tails_are_in_the_log_of_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO, "adaptery_hub.compute")
    async with running_service(tmp_path) as service:
        demo = service.client("demo")
        await demo.json("DELETE", f"api/datasets/{await demo.dataset()}", 204)
    assert [r.getMessage() for r in caplog.records].count("audit_tail") == 2
    assert main(["audit", "verify", "--database", service.services.settings.database_url]) == 0
    tail = capsys.readouterr().out.strip()
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert tail in [f"{f['writer']}:{f['seq']}:{f['row_hash']}" for f in fields if "seq" in f]

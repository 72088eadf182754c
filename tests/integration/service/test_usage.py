"""Usage as it is told: to each their own, counts to owners, everything to administrators; CSV."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from adaptery.client.usage import UsageListing
from adaptery.ids import new_id
from adaptery.schemas.usage import UsageRow
from adaptery.times import now
from adaptery_hub.database import tables
from adaptery_hub.handlers import usage as usage_handler
from adaptery_hub.usage import UsageEntry
from support.served_adapters import BASE_MODELS, add_adapter, serve
from support.service import Client, Service, running_service

ADMIN = ("read", "write", "infer", "admin")
TODAY = now().strftime("%Y-%m-%dT00:00:00.000Z")
ENTRY = UsageEntry(
    tenant_id="",
    request_id="rq_1",
    model="@demo/soap@1",
    base_model="tiny/tiny-llama",
    adapter_id=None,
    digests=(),
    agent_id="ag_1",
    prompt_tokens=3,
    completion_tokens=4,
    duration_ms=5,
    outcome="completed",
)


async def account(service: Service, client: Client, count: int = 1, **changes: Any) -> None:
    """Let a user have made some requests."""
    me = (await client.json("GET", "api/whoami"))["id"]
    compute = service.services.compute
    assert compute is not None
    for _ in range(count):
        changed = replace(ENTRY, tenant_id=me, request_id=new_id("rq"), **changes)
        await compute.usage.add(changed)
    await compute.usage.flush()


async def rows(client: Client, query: str = "", status: int = 200) -> Any:
    answer = await client.json("GET", f"api/usage?{query}", status)
    return answer["items"] if status == 200 else answer


async def test_everyone_sees_their_own_and_nothing_else(
    service: Service, demo: Client, guest: Client
) -> None:
    await account(service, demo, 2)
    await account(service, demo, outcome="engine_busy")
    await account(service, demo, outcome="cancelled", kind="embeddings")
    await account(service, guest, prompt_tokens=100)
    (today,) = await rows(demo)
    assert today["begins_at"] == TODAY
    assert (today["requests"], today["errors"], today["cancelled"]) == (4, 1, 1)
    assert (today["prompt_tokens"], today["completion_tokens"]) == (12, 16)
    (total,) = await rows(demo, "by=total")
    assert (total["requests"], total["begins_at"]) == (4, None)
    kinds = await rows(demo, "by=kind")
    assert {row["kind"]: row["requests"] for row in kinds} == {"chat": 3, "embeddings": 1}
    (of_guest,) = await rows(guest)
    assert (of_guest["requests"], of_guest["prompt_tokens"]) == (1, 100)
    nobody = service.client("nobody")
    assert await rows(nobody) == []
    assert [row["requests"] for row in await rows(nobody, "by=total")] == [0]


async def test_a_narrow_token_sees_its_own_usage_only(service: Service, demo: Client) -> None:
    await account(service, demo)
    narrow = service.client("demo", scopes=("infer",))
    assert len(await rows(narrow)) == 1
    for of in ("adapters", "everyone"):
        assert (await rows(narrow, f"of={of}", 403))["code"] == "not_allowed"


async def test_an_owner_sees_how_much_an_adapter_is_used_and_not_by_whom(
    service: Service, demo: Client, guest: Client
) -> None:
    adapter = await add_adapter(service, demo)
    other = await add_adapter(service, guest, "private")
    await account(service, guest, 2, adapter_id=adapter, key_id="ak_guest")
    await account(service, guest, adapter_id=other)
    await account(service, demo, adapter_id=adapter)
    (row,) = await rows(demo, "of=adapters&by=adapter")
    assert (row["adapter"], row["adapter_id"], row["requests"]) == ("@demo/soap@1", adapter, 3)
    assert "guest" not in json.dumps(row)
    for by in ("user", "key", "hour", "owner", "day,user"):
        assert (await rows(demo, f"of=adapters&by={by}", 422))["code"] == "invalid_input"
    assert await rows(demo, f"of=adapters&adapter={other}") == []
    for right in ("use", "view", "edit"):
        grant = {"principal": "@viewer", "right": right}
        await demo.json("PUT", f"api/adapters/{adapter}/grants", json=grant)
        assert await rows(service.client("viewer"), "of=adapters") == []
    grant = {"principal": "@viewer", "right": "manage"}
    await demo.json("PUT", f"api/adapters/{adapter}/grants", json=grant)
    assert len(await rows(service.client("viewer"), "of=adapters")) == 1


async def test_the_name_of_an_adapter_is_shown_while_it_may_be_used(
    service: Service, demo: Client, guest: Client
) -> None:
    adapter = await add_adapter(service, demo)
    await account(service, guest, adapter_id=adapter)
    grant = {"principal": "@guest", "right": "use"}
    await demo.json("PUT", f"api/adapters/{adapter}/grants", json=grant)
    (row,) = await rows(guest, "by=adapter")
    assert row["adapter"] == "@demo/soap@1"
    await demo.request("DELETE", f"api/adapters/{adapter}/grants?principal=@guest")
    await demo.json("DELETE", f"api/adapters/{adapter}", 204)
    (row,) = await rows(guest, "by=adapter")
    assert (row["adapter"], row["adapter_id"]) == (None, adapter)


async def test_administrators_see_everyones(service: Service, demo: Client, guest: Client) -> None:
    adapter = await add_adapter(service, demo, group="radiology")
    await account(service, demo, 2, adapter_id=adapter)
    await account(service, guest)
    boss = service.client("boss", scopes=ADMIN)
    found = await rows(boss, "of=everyone&by=user,owner,adapter")
    told = [(row["user"], row["owner"], row["adapter"], row["requests"]) for row in found]
    assert sorted(told, key=str) == [
        ("@demo", "radiology", "radiology/soap@1", 2),
        ("@guest", None, None, 1),
    ]
    assert (await rows(demo, "of=everyone", 403))["code"] == "not_allowed"
    assert (await rows(demo, "by=user", 422))["code"] == "invalid_input"


async def test_own_keys_are_told_apart_and_reach_no_usage(service: Service, demo: Client) -> None:
    adapter = await add_adapter(service, demo)
    made = await demo.json("POST", "api/keys", 201, json={"name": "k", "adapters": [adapter]})
    await account(service, demo, key_id=made["id"])
    await account(service, demo)
    found = await rows(demo, "by=key")
    assert [(row["key"], row["requests"]) for row in found] == [(None, 1), ("k", 1)]
    (only,) = await rows(demo, f"by=key&key={made['id']}")
    assert only["key_id"] == made["id"]
    program = service.anonymous({"Authorization": f"Bearer {made['secret']}"})
    assert (await program.get("api/usage")).status_code == 403


async def test_days_and_hours(service: Service, demo: Client) -> None:
    await account(service, demo, 3)
    moments = [
        datetime(2025, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 1, 30, tzinfo=UTC),
    ]

    def move(connection: Any) -> None:
        ids = [row.id for row in connection.execute(tables.usage.select())]
        for id, at in zip(ids, moments, strict=True):
            changed = tables.usage.update().where(tables.usage.c.id == id).values(created_at=at)
            connection.execute(changed)

    await service.services.db.write(move)
    days = await rows(demo, "from=2025-12-31&to=2026-01-01")
    assert [(row["begins_at"][:13], row["requests"]) for row in days] == [
        ("2025-12-31T00", 1),
        ("2026-01-01T00", 2),
    ]
    hours = await rows(demo, "from=2025-12-31&to=2026-01-01&by=hour")
    assert [row["begins_at"][:13] for row in hours] == [
        "2025-12-31T23",
        "2026-01-01T00",
        "2026-01-01T01",
    ]
    assert len(await rows(demo, "from=2026-01-01&to=2026-01-01&by=hour")) == 2
    (first,) = await rows(demo, "from=2025-12-31T23:00:00Z&to=2026-01-01T00:00:00Z")
    assert first["requests"] == 1
    # Page by page the same.
    paged, after = [], ""
    while True:
        query = f"from=2025-12-31&to=2026-01-01&by=hour&limit=1{after}"
        page = await demo.json("GET", f"api/usage?{query}")
        paged += page["items"]
        if not page["has_more"]:
            break
        after = f"&after={paged[-1]['id']}"
    assert paged == hours


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=2026-01-01T00:00:00",
        "from=2026-02-30",
        "to=9999-12-31",
        "to=0001-01-01",
        "from=0001-01-01T00:00:00%2B23:59",
        "adapter=soap",
        "adapter=%00",
        "key=ad_01hzzzzzzzzzzzzzzzzzzzzzzz",
        "from=2026-01-02&to=2026-01-01",
        "from=2020-01-01&to=2026-01-01",
        "from=2026-01-01&to=2026-03-01&by=hour",
        "by=tenant",
        "by=" + "day," * 100,
        "of=all",
        "format=xml",
        "after=x",
        "after=W10",
        "after=WyJ4Il0",
        "limit=0",
        "limit=1000",
        "user=x",
        "by=day&by=hour",
    ],
)
async def test_what_cannot_be_told(demo: Client, query: str) -> None:
    assert (await rows(demo, query, 422))["code"] == "invalid_input"


async def test_csv(service: Service, demo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_handler, "CSV_ROWS", 2)
    for number in range(5):
        await account(service, demo, number + 1, base_model=f"org/model-{number}")
    for answer in (
        await demo.get("api/usage?by=base_model,adapter&format=csv"),
        await demo.get("api/usage?by=base_model,adapter", headers={"Accept": "text/csv"}),
    ):
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer.headers["Content-Disposition"]
        found = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["requests"] for row in found] == ["1", "2", "3", "4", "5"]
        assert list(found[0]) == [
            *("adapter", "adapter_id", "base_model", "requests", "errors", "cancelled"),
            *("prompt_tokens", "completion_tokens"),
        ]
    plain = await demo.get("api/usage", headers={"Accept": "application/json, text/csv"})
    assert plain.headers["Content-Type"] == "application/json"


async def test_the_client_writes_the_same_csv(service: Service, demo: Client) -> None:
    adapter = await add_adapter(service, demo)
    await account(service, demo, adapter_id=adapter)
    await account(service, demo, 2, base_model="org/other")
    for by in ("day,adapter", "key,kind,hour,day", "total"):
        whole = [UsageRow.model_validate(row) for row in await rows(demo, f"by={by}")]
        text = (await demo.get(f"api/usage?by={by}&format=csv")).text
        assert UsageListing(whole, by.split(",")).to_csv() == text


async def test_what_answered_without_an_adapter_is_told_by_its_base_model(
    service: Service, demo: Client
) -> None:
    adapter = await add_adapter(service, demo)
    await account(service, demo, adapter_id=adapter)
    await account(service, demo, 2, base_model="org/other")
    await account(service, demo, 3)
    found = await rows(demo, "by=adapter")
    assert [(row["adapter"], row["base_model"], row["requests"]) for row in found] == [
        (None, "org/other", 2),
        (None, "tiny/tiny-llama", 3),
        ("@demo/soap@1", "tiny/tiny-llama", 1),
    ]


async def test_no_name_is_a_formula_in_csv(service: Service, demo: Client) -> None:
    adapter = await add_adapter(service, demo)
    body = {"name": '=HYPERLINK("http://x")', "adapters": [adapter]}
    key = (await demo.json("POST", "api/keys", 201, json=body))["id"]
    await account(service, demo, adapter_id=adapter, key_id=key)
    text = (await demo.get("api/usage?by=key,adapter&format=csv")).text
    _, row = csv.reader(io.StringIO(text))
    assert row[0] == '\'=HYPERLINK("http://x")'
    assert row[2] == "'@demo/soap@1"


async def test_the_whole_path_is_accounted_and_no_content_is_anywhere(tmp_path: Any) -> None:
    canary = "canary-5c1d"
    async with running_service(tmp_path, base_models=BASE_MODELS) as service:
        demo = service.client("demo")
        boss = service.client("boss", scopes=ADMIN)
        await serve(service)
        adapter = await add_adapter(service, demo)
        body = {"model": "@demo/soap", "messages": [{"role": "user", "content": canary}]}
        answer = await demo.post("v1/chat/completions", json=body)
        assert answer.status_code == 200
        request_id = answer.headers["X-Request-Id"]
        await demo.json(
            "POST", "v1/completions", json={"model": "@demo/soap", "prompt": [canary, canary]}
        )
        found = await rows(demo, "by=kind,adapter")
        assert {row["kind"]: row["adapter"] for row in found} == {
            "chat": "@demo/soap@1",
            "completions": "@demo/soap@1",
        }
        page = await boss.json("GET", f"api/audit?request={request_id}")
        (row,) = page["items"]
        assert (row["actor"], row["action"], row["thing_id"]) == ("@demo", "infer", adapter)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path


async def test_tokens_of_a_key_count_before_they_are_written(
    service: Service, demo: Client
) -> None:
    await serve(service)
    adapter = await add_adapter(service, demo)
    body = {"name": "k", "adapters": [adapter], "tokens_per_day": 20}
    made = await demo.json("POST", "api/keys", 201, json=body)
    compute = service.services.compute
    assert compute is not None
    me = (await demo.json("GET", "api/whoami"))["id"]
    await compute.usage.add(replace(ENTRY, tenant_id=me, key_id=made["id"], prompt_tokens=16))
    program = service.anonymous({"Authorization": f"Bearer {made['secret']}"})
    chat = {"model": "@demo/soap", "messages": [{"role": "user", "content": "x"}]}
    answer = await program.post("v1/chat/completions", json=chat)
    assert answer.status_code == 429
    assert answer.headers["x-ratelimit-remaining-tokens"] == "0"


async def test_a_service_that_ends_has_written_all_usage(tmp_path: Any) -> None:
    for expected in (1, 2):
        async with running_service(tmp_path) as service:
            demo = service.client("demo")
            me = (await demo.json("GET", "api/whoami"))["id"]
            compute = service.services.compute
            assert compute is not None
            await compute.usage.add(replace(ENTRY, tenant_id=me))
        async with running_service(tmp_path) as service:
            (row,) = await rows(service.client("demo"))
            assert row["requests"] == expected
    assert list((tmp_path / "usage").iterdir()) == []

"""Own keys over HTTP: made once, shown once, and dead at once when they end."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from adaptery.key_secrets import is_well_formed
from adaptery.times import now
from adaptery_hub.database import tables
from support.hub_tables import BASE
from support.own_keys import CHAT, HELLO, change, make_key, model_ids, new_program, program
from support.served_adapters import BASE_MODELS, Fleet, add_adapter
from support.service import Client, Service, running_service

MISSING = "ak_01hzzzzzzzzzzzzzzzzzzzzzzz"


# -- making, showing, ending ------------------------------------------------------------------


async def test_a_secret_is_shown_once_and_kept_nowhere(
    service: Service, demo: Client, soap: str, tmp_path: Path
) -> None:
    made = await make_key(demo, "soap", tokens_per_day=1000, requests_per_minute=10)
    secret = made["secret"]
    assert is_well_formed(secret)
    assert made["adapters"] == [{"id": soap, "name": "@demo/soap@1"}]
    assert made["prefix"] == f"{secret[:7]}…" and made["verbs"] == ["infer", "read"]
    assert (made["tokens_per_day"], made["requests_per_minute"]) == (1000, 10)
    (listed,) = (await demo.json("GET", "api/keys"))["items"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    await demo.json("DELETE", f"api/keys/{made['id']}", 204)
    for path in service.services.settings.state_path.rglob("*"):
        if path.is_file():
            assert secret[7:].encode() not in path.read_bytes(), path
    audit = await service.services.db.read(
        lambda c: list(c.execute(sa.select(tables.audit)).mappings())
    )
    assert {row["action"] for row in audit} >= {"key.create", "key.revoke"}
    assert secret[3:] not in json.dumps([dict(row) for row in audit], default=str)


@pytest.mark.parametrize(
    "fields",
    [
        {"adapters": []},
        {"adapters": ["@demo/soap"] * 51},
        {"verbs": []},
        {"verbs": ["write"]},
        {"verbs": ["admin"]},
        {"expires_in_days": 0},
        {"expires_in_days": 91},
        {"tokens_per_day": 0},
        {"requests_per_minute": -1},
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "back\u202ewards"},
        {"secret": "ak-mine"},
        {"owner": "@guest"},
        {"scopes": ["admin"]},
    ],
)
async def test_what_a_key_may_not_be(demo: Client, soap: str, fields: dict) -> None:
    body = {"name": "x", "adapters": ["soap"], **fields}
    problem = await demo.json("POST", "api/keys", 422, json=body)
    assert problem["code"] == "invalid_input"
    assert (await demo.json("GET", "api/keys"))["items"] == []


async def test_only_what_i_may_use_gets_into_my_key(
    service: Service, demo: Client, guest: Client, soap: str
) -> None:
    answers = []
    for name in (
        soap,
        "@demo/soap",
        "@demo/soap@1",
        "@demo/never",
        "soap",
        BASE,
        "",
        "auto",
        "../x",
        "ds_x",
        "@demo%2Fsoap",
        "@DEMO/soap",
        "jb_01hzzzzzzzzzzzzzzzzzzzzzzz",
    ):
        answer = await guest.post("api/keys", json={"name": "x", "adapters": [name]})
        if name:
            problem = answer.json()
            problem.pop("request_id")
            answers.append((answer.status_code, json.dumps(problem)))
    assert len(set(answers)) == 1 and answers[0][0] == 404
    assert "soap" not in answers[0][1]


async def test_a_key_is_never_more_than_the_token_that_makes_it(
    service: Service, demo: Client, soap: str
) -> None:
    writer = service.client("demo", groups=("radiology",), scopes=("read", "write"))
    body = {"name": "x", "adapters": ["soap"]}
    assert "infer" in (await writer.json("POST", "api/keys", 403, json=body))["detail"]
    await writer.json("POST", "api/keys", 201, json={**body, "verbs": ["read"]})
    narrow = service.client("demo", scopes=("infer",))
    await narrow.json("POST", "api/keys", 403, json=body)
    key = await new_program(service, demo, "soap")
    await key.json("POST", "api/keys", 403, json=body)


async def test_keys_are_their_owners_and_admins_may_only_look_and_revoke(
    service: Service, demo: Client, guest: Client, soap: str
) -> None:
    made = await make_key(demo, "soap")
    path = f"api/keys/{made['id']}"
    for client, key in ((guest, made["id"]), (guest, MISSING), (demo, MISSING)):
        await client.json("DELETE", f"api/keys/{key}", 404)
        await client.json("POST", f"api/keys/{key}/rotate", 404, json={})
    assert (await guest.json("GET", "api/keys"))["items"] == []
    await demo.json("GET", "api/keys?of=everyone", 403)
    admin = service.client("root", scopes=("read", "write", "admin"))
    assert (await admin.json("GET", "api/keys"))["items"] == []
    (seen,) = (await admin.json("GET", "api/keys?of=everyone"))["items"]
    assert (seen["name"], seen["owner"]) == ("pipeline", "@demo")
    assert seen["adapters"] == [{"id": soap, "name": None}] and "secret" not in seen
    await admin.json("POST", f"{path}/rotate", 404, json={})
    await admin.json("DELETE", path, 204)
    (mine,) = (await demo.json("GET", "api/keys"))["items"]
    assert mine["revoked_at"] is not None
    await demo.json("POST", f"{path}/rotate", 409, json={})
    await demo.json("DELETE", path, 204)


async def test_there_is_a_limit_on_keys(tmp_path: Path) -> None:
    options = {"base_models": BASE_MODELS, "max_keys_per_tenant": 1, "max_key_days": 7}
    async with running_service(tmp_path / "state", **options) as service:
        demo = service.client("demo")
        await add_adapter(service, demo)
        made = await make_key(demo, "soap")
        life = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
        assert timedelta(days=6) < life < timedelta(days=8)
        body = {"name": "x", "adapters": ["soap"]}
        problem = await demo.json("POST", "api/keys", 429, json=body)
        assert problem["code"] == "quota_exceeded"
        await demo.json("DELETE", f"api/keys/{made['id']}", 204)
        await make_key(demo, "soap")


async def test_only_users_have_keys(service: Service, demo: Client, soap: str) -> None:
    token = demo.headers["Authorization"].removeprefix("Bearer ")
    model = service.identities.models[token]
    service.identities.models[token] = type(model)(**{**model.__dict__, "kind": "service"})
    await demo.json("POST", "api/keys", 404, json={"name": "x", "adapters": ["@demo/soap"]})
    await add_adapter(service, demo, "mine")
    await demo.json("POST", "api/keys", 403, json={"name": "x", "adapters": ["mine"]})


# -- what ends a key, and what its owner loses --------------------------------------------------


async def test_a_revoked_or_expired_key_is_dead_at_the_next_request(
    service: Service, demo: Client, soap: str
) -> None:
    made = await make_key(demo, "soap")
    key = program(service, made["secret"])
    await model_ids(key)
    await change(service, tables.keys.update().values(expires_at=now()))
    await key.json("GET", "v1/models", 401)
    await change(service, tables.keys.update().values(expires_at=now() + timedelta(days=1)))
    await model_ids(key)
    # By another replica: nothing in this process knows of it.
    await change(service, tables.keys.update().values(revoked_at=now()))
    await key.json("GET", "v1/models", 401)


async def test_a_rotated_key_dies_at_once_or_after_the_overlap(
    service: Service, demo: Client, soap: str
) -> None:
    made = await make_key(demo, "soap")
    path = f"api/keys/{made['id']}/rotate"
    first = program(service, made["secret"])
    rotated = await demo.json("POST", path, json={"overlap_minutes": 10})
    second = program(service, rotated["secret"])
    assert rotated["id"] == made["id"] and rotated["prefix"] != made["prefix"]
    assert rotated["expires_at"] == made["expires_at"]
    assert await model_ids(first) == await model_ids(second) == ["@demo/soap@1"]
    third = program(service, (await demo.json("POST", path, json={}))["secret"])
    for dead in (first, second):
        await dead.json("GET", "v1/models", 401)
    await model_ids(third)
    fourth = program(
        service, (await demo.json("POST", path, json={"overlap_minutes": 9}))["secret"]
    )
    await model_ids(third)
    await change(service, tables.keys.update().values(old_secret_until=now()))
    await third.json("GET", "v1/models", 401)
    await model_ids(fourth)
    for minutes in (-1, 24 * 60 + 1, "x"):
        await demo.json("POST", path, 422, json={"overlap_minutes": minutes})


async def test_what_its_owner_loses_the_key_loses(
    service: Service, demo: Client, guest: Client, fleet: Fleet
) -> None:
    shared = await add_adapter(service, demo, "ward", group="radiology")
    own = await add_adapter(service, demo, "soap")
    made = await make_key(demo, shared, own)
    key = program(service, made["secret"])
    assert len(await model_ids(key)) == 2
    nothing = (await key.post(CHAT, json={**HELLO, "model": "@demo/never"})).json()["error"]

    service.client("demo", groups=())  # left the group
    assert await model_ids(key) == ["@demo/soap@1"]
    error = (await key.json("POST", CHAT, 404, json={**HELLO, "model": "radiology/ward"}))["error"]
    assert error == nothing
    (listed,) = (await service.client("demo", groups=()).json("GET", "api/keys"))["items"]
    assert {a["name"] for a in listed["adapters"]} == {None, "@demo/soap@1"}

    service.client("demo", groups=("radiology",))
    assert len(await model_ids(key)) == 2
    await change(service, tables.adapters.update().values(state="deleted"))
    assert await model_ids(key) == []
    await change(service, tables.adapters.update().values(state="completed"))
    await change(service, tables.tenants.update().values(state="suspended"))
    assert await model_ids(key) == []
    error = (await key.json("POST", CHAT, 404, json={**HELLO, "model": "@demo/soap"}))["error"]
    assert error == nothing


async def test_a_key_does_not_pass_to_another_person_of_the_same_name(
    service: Service, demo: Client, soap: str
) -> None:
    made = await make_key(demo, "soap")
    key = program(service, made["secret"])
    service.identities.gone.add("demo")
    assert await model_ids(key) == []
    service.identities.gone.clear()
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    await change(service, tables.tenants.update().values(hub_created_at=first))
    service.identities.created_at["demo"] = first
    assert await model_ids(key) == ["@demo/soap@1"]
    service.identities.created_at["demo"] = second
    assert await model_ids(key) == []


async def test_a_key_does_not_add_to_what_a_grant_gives(
    service: Service, demo: Client, guest: Client, soap: str, fleet: Fleet
) -> None:
    await guest.json("GET", "api/whoami")
    ids = {
        row.hub_name: row.id
        for row in await service.services.db.read(
            lambda c: list(c.execute(sa.select(tables.tenants)))
        )
    }
    grant = {"id": "gr_1", "created_at": now(), "thing_id": soap, "right": 4}
    grant |= {"principal_id": ids["guest"], "creator_id": ids["demo"]}
    await change(service, tables.grants.insert().values(grant))
    key = await new_program(service, guest, "@demo/soap")
    assert await model_ids(key) == ["@demo/soap@1"]
    await key.json("DELETE", f"api/adapters/{soap}", 403)
    await change(service, tables.grants.delete())
    assert await model_ids(key) == []

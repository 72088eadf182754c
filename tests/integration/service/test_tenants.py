"""`api/tenants`: administrators see names and sizes, and give away what nobody owns any more."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database import tables
from support.hub_tables import WEIGHTS
from support.service import Client, Service, alpaca, running_service
from support.shared_things import OPTIONS, make_adapter, make_things

EVERY = ("read", "write", "infer", "admin")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", **OPTIONS) as running:
        yield running


@pytest.fixture
def admin(service: Service) -> Client:
    return service.client("boss", groups=("staff",), scopes=EVERY)


@pytest.fixture
async def things(service: Service, demo: Client) -> dict[str, str]:
    return await make_things(service, demo)


async def tenants(admin: Client, **query: str) -> dict[str, dict[str, Any]]:
    items = (await admin.json("GET", "api/tenants", params=query))["items"]
    return {item["name"]: item for item in items}


async def replace_user(service: Service, name: str, groups: tuple[str, ...] = ()) -> Client:
    service.identities.make_again(name)
    again = service.client(name, groups=groups)
    await again.json("GET", "api/whoami")
    return again


async def reassign(admin: Client, tenant: str, to: str, status: int = 200, **more: Any) -> Any:
    body = {"to": to, **more}
    return await admin.json("POST", f"api/tenants/{tenant}/reassign", status, json=body)


async def audit(service: Service, start: str) -> list[tuple[str, dict[str, Any]]]:
    table = tables.audit
    statement = sa.select(table.c.action, table.c.details).order_by(table.c.seq)
    rows = await service.services.db.read(lambda c: c.execute(statement).all())
    return [(row[0], row[1]) for row in rows if start in row[0]]


async def test_tenants_are_listed_with_names_states_and_sizes(
    service: Service, admin: Client, demo: Client, things: dict[str, str]
) -> None:
    await replace_user(service, "demo")
    found = await tenants(admin)
    assert set(found) >= {"@demo", "@boss", "radiology", "staff"}
    old = found["@demo"]
    assert (old["state"], old["hub_name"], old["kind"]) == ("dormant", "demo", "user")
    assert old["dormant_at"] is not None
    assert (old["datasets"], old["jobs"], old["adapters"]) == (1, 1, 1)
    assert old["storage"]["used_bytes"] > 0
    assert list(await tenants(admin, state="dormant")) == ["@demo"]
    assert set(await tenants(admin, kind="group")) == {"radiology", "staff"}
    assert set(await tenants(admin, search="DEM")) == {
        name for name, one in found.items() if one["hub_name"] == "demo"
    }
    first = await admin.json("GET", "api/tenants?limit=1")
    assert first["has_more"]
    rest = await admin.json("GET", f"api/tenants?after={first['items'][0]['id']}")
    assert len(rest["items"]) == len(found) - 1
    for text in (old["id"], "@demo"):
        assert (await admin.json("GET", f"api/tenants/{text}"))["id"] == old["id"]
    for text in ("@nobody", "tn_01hzzzzzzzzzzzzzzzzzzzzzzz", "%20", "@"):
        await admin.json("GET", f"api/tenants/{text}", 404)
    await admin.json("GET", "api/tenants?state=asleep", 422)
    shown = json.dumps([found, await admin.json("GET", f"api/tenants/{old['id']}")])
    for content in ("cough", "Patient", "secret@1", '"secret"'):
        assert content not in shown


async def test_only_administrators_see_them(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    mine = (await demo.json("GET", "api/whoami"))["id"]
    for path in ("api/tenants", f"api/tenants/{mine}", "api/tenants/@demo", "api/retention"):
        await demo.json("GET", path, 403)
    await demo.json("POST", f"api/tenants/{mine}/reassign", 403, json={"to": "@demo"})
    await demo.json("PATCH", f"api/tenants/{mine}", 403, json={"storage_quota_bytes": 0})
    await demo.json("POST", "api/retention", 403, json={})


async def test_what_is_reassigned_moves_whole(
    service: Service, admin: Client, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    body = {"principal": "@guest", "right": "use"}
    await demo.json("PUT", f"api/adapters/{things['adapter']}/grants", json=body)
    heir = service.client("heir")
    await heir.json("GET", "api/whoami")
    body = {"principal": "@heir", "right": "view"}
    await demo.json("PUT", f"api/datasets/{things['dataset']}/grants", json=body)
    again = await replace_user(service, "demo")
    checkpoint = {
        "id": new_id("ck"),
        "created_at": now(),
        "job_id": things["job"],
        "step": 10,
        "digest": WEIGHTS,
        "files": [],
        "bytes": 1000,
    }
    insert = tables.checkpoints.insert().values(checkpoint)
    await service.services.db.write(lambda c: c.execute(insert))
    before = (await tenants(admin))["@demo"]
    assert before["storage"]["parts"]["checkpoints"] == 1000
    dry = await reassign(admin, before["id"], "@heir", dry_run=True)
    assert dry["dry_run"] and (dry["datasets"], dry["jobs"], dry["adapters"]) == (1, 1, 1)
    assert {move["new_name"] for move in dry["moves"]} == {
        "@heir/secret",
        "@heir/notes",
        "@heir/notes@1",
    }
    assert dry["bytes"] == before["storage"]["used_bytes"]
    assert not dry["needs_break_glass"]
    await heir.json("GET", f"api/jobs/{things['job']}", 404)  # nothing has moved
    done = await reassign(admin, "@demo", "@heir")
    assert done == {**dry, "dry_run": False}
    for kind in ("datasets", "jobs", "adapters"):
        (one,) = (await heir.json("GET", f"api/{kind}"))["items"]
        assert one["id"] == things[kind.removesuffix("s")]
        assert one["tenant"] == "@heir" and one["right"] == "manage"
    assert (await heir.json("GET", f"api/datasets/{things['dataset']}/grants"))["items"] == []
    version = await heir.json("GET", f"api/versions/{things['version']}")
    assert version["name"] == "@heir/secret@1"
    answer = await heir.get(f"api/versions/{things['version']}/download")
    assert len(answer.text.splitlines()) == 3
    # Who was given it, keeps it; who comes after, and the administrator, have nothing.
    assert (await guest.json("GET", f"api/adapters/{things['adapter']}"))["right"] == "use"
    for other in (again, admin):
        for kind in ("datasets", "jobs", "adapters"):
            assert (await other.json("GET", f"api/{kind}"))["items"] == []
            await other.json("GET", f"api/{kind}/{things[kind.removesuffix('s')]}", 404)
    after = (await tenants(admin))["@demo"]
    assert (after["datasets"], after["storage"]["used_bytes"]) == (0, 0)
    assert (await reassign(admin, "@demo", "@heir"))["moves"] == []
    written = await audit(service, "reassign")
    assert [action for action, _ in written[:4]] == [
        "tenant.reassign",
        "dataset.reassign",
        "job.reassign",
        "adapter.reassign",
    ]
    assert written[0][1]["to"] == "@heir" and written[1][1]["name"] == "secret"


async def test_restricted_things_stay_restricted(
    service: Service, admin: Client, demo: Client
) -> None:
    dataset = await demo.dataset(sensitivity="restricted")
    heir = service.client("heir")
    await heir.json("GET", "api/whoami")
    await replace_user(service, "demo")
    await reassign(admin, "@demo", "@heir")
    assert (await heir.json("GET", f"api/datasets/{dataset}"))["sensitivity"] == "restricted"


async def test_a_name_that_is_taken_gets_a_number(
    service: Service, admin: Client, demo: Client, things: dict[str, str]
) -> None:
    heir = service.client("heir")
    theirs = await heir.dataset("secret")
    long = "x" * 64
    await heir.dataset(long)
    await demo.dataset(long)
    await heir.dataset("secret-2")
    await heir.upload(theirs, alpaca(2))
    await heir.publish(theirs)
    body = {"name": "notes", "dataset": "@heir/secret"}
    job = (await heir.json("POST", "api/jobs", 201, json=body))["id"]
    own = await make_adapter(service, heir, job)
    await replace_user(service, "demo")
    done = await reassign(admin, "@demo", "@heir")
    moved = {move["id"]: move["new_name"] for move in done["moves"]}
    assert moved[things["dataset"]] == "@heir/secret-3"
    assert moved[things["adapter"]] == "@heir/notes-2@1"
    assert "@heir/" + "x" * 62 + "-2" in moved.values()
    assert (await heir.json("GET", f"api/adapters/{own}"))["full_name"] == "@heir/notes@1"
    assert (await heir.json("GET", f"api/datasets/{theirs}"))["name"] == "secret"
    assert (await heir.json("GET", f"api/jobs/{things['job']}"))["name"] == "notes-2"


async def test_a_renamed_group_gets_its_things_back(
    service: Service, admin: Client, demo: Client, colleague: Client
) -> None:
    made = await demo.dataset("made-by-demo", tenant="radiology")
    lost = await colleague.dataset("made-by-one-who-is-gone", tenant="radiology")
    await replace_user(service, "colleague")
    service.identities.gone_groups.add("radiology")
    await service.services.hub_watch.look()
    members = [service.client(name, groups=("imaging",)) for name in ("demo", "third")]
    for member in members:
        await member.json("GET", f"api/datasets/{made}", 404)
    await reassign(admin, "radiology", "imaging")
    first, third = members
    assert (await first.json("GET", f"api/datasets/{made}"))["right"] == "manage"
    assert (await third.json("GET", f"api/datasets/{made}"))["right"] == "edit"
    # Nobody who made this is there to manage it: the group does.
    for member in members:
        assert (await member.json("GET", f"api/datasets/{lost}"))["right"] == "manage"
    granted = (await third.json("GET", f"api/datasets/{lost}/grants"))["items"]
    assert [(one["principal"], one["right"]) for one in granted] == [("imaging", "manage")]


async def test_things_of_a_user_can_go_to_a_group(
    service: Service, admin: Client, demo: Client, things: dict[str, str]
) -> None:
    member = service.client("member", groups=("imaging",))
    await member.json("GET", "api/whoami")
    await replace_user(service, "demo")
    await reassign(admin, "@demo", "imaging")
    for kind in ("dataset", "job", "adapter"):
        shown = await member.json("GET", f"api/{kind}s/{things[kind]}")
        assert (shown["tenant"], shown["right"]) == ("imaging", "manage")


async def test_an_administrator_who_takes_it_breaks_the_glass(
    service: Service, admin: Client, demo: Client, things: dict[str, str]
) -> None:
    await replace_user(service, "demo")
    for to in ("@boss", "staff"):
        await admin.json("GET", "api/whoami")
        problem = await reassign(admin, "@demo", to, 403)
        assert "break_glass" in problem["hint"] and "--break-glass" in problem["hint"]
        assert (await reassign(admin, "@demo", to, dry_run=True))["needs_break_glass"]
    await admin.json("GET", f"api/datasets/{things['dataset']}", 404)
    await reassign(admin, "@demo", "@boss", break_glass=True)
    await admin.json("GET", f"api/datasets/{things['dataset']}")
    assert [a for a, _ in await audit(service, "tenant.")] == [
        "tenant.dormant",
        "tenant.break_glass",
    ]


async def test_nothing_is_taken_from_who_is_there(
    service: Service, admin: Client, demo: Client, things: dict[str, str]
) -> None:
    heir = service.client("heir")
    await heir.json("GET", "api/whoami")
    for tenant in ("@demo", "radiology"):
        for dry_run in (True, False):
            await reassign(admin, tenant, "@heir", 409, dry_run=dry_run)
    await demo.json("GET", f"api/datasets/{things['dataset']}")
    await replace_user(service, "demo")
    for to in ("@nobody", "nobody", "heir", "@demo@", "tn_x"):
        await reassign(admin, "@demo", to, 422)
    for body in ({}, {"to": ""}, {"to": "@heir", "force": True}, {"to": ["@heir"]}):
        path = "api/tenants/@demo/reassign"
        await admin.json("POST", path, 422, json=body)
    await reassign(admin, "@nobody", "@heir", 404)


async def test_the_successor_can_be_given_it_and_keys_stay_dead(
    service: Service, admin: Client, demo: Client, things: dict[str, str]
) -> None:
    body = {"name": "x", "adapters": ["notes"]}
    secret = (await demo.json("POST", "api/keys", 201, json=body))["secret"]
    again = await replace_user(service, "demo")
    await reassign(admin, "@demo", "@demo")  # to whoever has the name now
    assert (await again.json("GET", f"api/datasets/{things['dataset']}"))["right"] == "manage"
    key = service.anonymous({"Authorization": f"Bearer {secret}"})
    await key.json("GET", "v1/models", 401)
    assert (await again.json("GET", "api/keys"))["items"] == []


async def test_a_job_that_runs_hands_its_adapter_to_the_new_owner(
    service: Service, admin: Client, demo: Client, things: dict[str, str]
) -> None:
    heir = service.client("heir")
    await heir.json("GET", "api/whoami")
    await replace_user(service, "demo")
    await reassign(admin, "@demo", "@heir")
    row = await service.services.db.read(
        lambda c: (
            c.execute(sa.select(tables.jobs).where(tables.jobs.c.id == things["job"]))
            .mappings()
            .one()
        )
    )
    me = (await heir.json("GET", "api/whoami"))["id"]
    assert row["tenant_id"] == me and row["state"] == "queued"


async def test_quota_and_retention_are_set_for_one(
    service: Service, admin: Client, demo: Client
) -> None:
    dataset = await demo.dataset()
    path = "api/tenants/@demo"
    default = (await admin.json("GET", path))["storage"]["quota_bytes"]
    small = await admin.json("PATCH", path, json={"storage_quota_bytes": 1, "retention_days": 7})
    assert (small["storage_quota_bytes"], small["storage"]["quota_bytes"]) == (1, 1)
    assert small["retention_days"] == 7
    await demo.upload(dataset, alpaca(3), status=413)
    same = await admin.json("PATCH", path, json={})
    assert same == small
    none = await admin.json("PATCH", path, json={"storage_quota_bytes": 0})
    assert none["storage"]["quota_bytes"] is None and none["retention_days"] == 7
    await demo.upload(dataset, alpaca(3))
    back = await admin.json("PATCH", path, json={"storage_quota_bytes": None})
    assert back["storage"]["quota_bytes"] == default
    for body in (
        {"storage_quota_bytes": -1},
        {"storage_quota_bytes": 2**61},
        {"retention_days": -1},
        {"state": "expected"},
        {"state": "dormant"},  # of a user
        {"slug": "x"},
    ):
        await admin.json("PATCH", path, 422, json=body)
    assert len(await audit(service, "tenant.change")) == 4


async def test_who_is_suspended_is_kept_out_until_resumed(
    service: Service, admin: Client, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    body = {"name": "x", "adapters": ["notes"]}
    secret = (await demo.json("POST", "api/keys", 201, json=body))["secret"]
    key = service.anonymous({"Authorization": f"Bearer {secret}"})
    grant = {"principal": "@guest", "right": "view"}
    await demo.json("PUT", f"api/datasets/{things['dataset']}/grants", json=grant)
    for _ in range(2):  # it may come twice
        kept_out = await admin.json("PATCH", "api/tenants/@demo", json={"state": "suspended"})
        assert kept_out["state"] == "suspended"
    assert (await demo.json("GET", "api/whoami", 403))["code"] == "not_allowed"
    assert (await key.json("GET", "v1/models"))["data"] == []
    await guest.json("GET", f"api/datasets/{things['dataset']}")  # what was given stays given
    assert list(await tenants(admin, state="suspended")) == ["@demo"]
    back = await admin.json("PATCH", "api/tenants/@demo", json={"state": "active"})
    assert back["state"] == "active"
    await demo.json("GET", f"api/datasets/{things['dataset']}")
    assert len((await key.json("GET", "v1/models"))["data"]) == 1
    assert [a for a, _ in await audit(service, "tenant.")] == ["tenant.suspend", "tenant.resume"]


async def test_a_suspended_group_is_nobodys_and_some_are_not_suspended(
    service: Service, admin: Client, demo: Client
) -> None:
    ours = await demo.dataset("ours", tenant="radiology")
    await admin.json("PATCH", "api/tenants/radiology", json={"state": "suspended"})
    await demo.json("GET", f"api/datasets/{ours}", 404)
    await admin.json("PATCH", "api/tenants/radiology", json={"state": "active"})
    await demo.json("GET", f"api/datasets/{ours}")
    await admin.json("PATCH", "api/tenants/@boss", 422, json={"state": "suspended"})
    await demo.json("PATCH", "api/tenants/@demo", 403, json={"state": "active"})
    await admin.json("PATCH", "api/tenants/radiology", json={"state": "dormant"})
    found = await tenants(admin, state="dormant")
    for state in ("active", "suspended"):
        path = f"api/tenants/{found['radiology']['id']}"
        await admin.json("PATCH", path, 409, json={"state": state})


async def test_a_group_that_was_made_again_unseen_is_retired_by_hand(
    service: Service, admin: Client, demo: Client
) -> None:
    ours = await demo.dataset("ours", tenant="radiology")
    before = (await tenants(admin))["radiology"]
    shown = await admin.json("PATCH", f"api/tenants/{before['id']}", json={"state": "dormant"})
    assert shown["state"] == "dormant"
    await demo.json("GET", f"api/datasets/{ours}", 404)
    assert await demo.dataset("ours", tenant="radiology") != ours
    assert [a for a, _ in await audit(service, "tenant.")] == ["tenant.dormant"]
    assert new_id("tn") not in await tenants(admin)

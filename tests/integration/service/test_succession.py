"""Users and groups that were deleted, made again or renamed: who comes after inherits nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adaptery.errors import UnavailableError
from adaptery_hub import succession
from adaptery_hub.database import tables
from adaptery_hub.routes import all_routes
from support.hub_tables import BASE
from support.own_keys import new_program
from support.service import CREATED_AT, Client, Service, alpaca, running_service
from support.shared_things import OPTIONS, TalkingFleet, body_of, connect, make_things

CHAT = "v1/chat/completions"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", **OPTIONS) as running:
        running.services.admissions.look_again_seconds = 0.1
        yield running


@pytest.fixture
async def things(service: Service, demo: Client) -> dict[str, str]:
    return await make_things(service, demo)


async def whoami(client: Client) -> dict[str, Any]:
    return await client.json("GET", "api/whoami")


async def rows(service: Service, kind: str, hub_name: str) -> list[sa.RowMapping]:
    statement = sa.select(tables.tenants).where(
        tables.tenants.c.kind == kind, tables.tenants.c.hub_name == hub_name
    )
    return await service.services.db.read(
        lambda c: list(c.execute(statement.order_by(tables.tenants.c.id)).mappings())
    )


async def actions(service: Service, start: str) -> list[tuple[str, str]]:
    statement = sa.select(tables.audit.c.action, tables.audit.c.details)
    found = await service.services.db.read(lambda c: c.execute(statement).all())
    return [(row[0], row[1]["reason"]) for row in found if row[0].startswith(start)]


async def test_who_comes_after_a_deleted_user_is_another_tenant(
    service: Service, demo: Client
) -> None:
    before = await whoami(demo)
    service.identities.make_again("demo")
    await demo.json("GET", "api/whoami", 401)
    again = service.client("demo", groups=("radiology",))
    after = await whoami(again)
    assert after["id"] != before["id"] and after["tenant"] != before["tenant"]
    assert after["name"] == before["name"] == "demo"
    assert (await whoami(again))["id"] == after["id"]
    old, new = await rows(service, "user", "demo")
    assert (old["id"], old["state"], new["state"]) == (before["id"], "dormant", "active")
    assert old["dormant_at"] is not None and new["dormant_at"] is None
    assert old["hub_created_at"] < new["hub_created_at"]
    assert await actions(service, "tenant.") == [("tenant.dormant", "user_replaced")]


async def test_the_one_who_comes_after_finds_nothing_by_any_route(
    service: Service, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    """Of all routes that name a thing, each answers as for a thing that never was."""
    await demo.json("PUT", f"api/adapters/{things['adapter']}/grants", json=grant("@guest", "use"))
    group = await demo.dataset("ours", tenant="radiology")
    mine = await guest.dataset("given")
    await guest.json("PUT", f"api/datasets/{mine}/grants", json=grant("@demo", "manage"))
    key = await demo.json("POST", "api/keys", 201, json={"name": "x", "adapters": ["notes"]})
    service.identities.make_again("demo")
    again = service.client("demo")
    for kind in ("datasets", "jobs", "adapters", "keys"):
        assert (await again.json("GET", f"api/{kind}"))["items"] == [], kind
    models = (await again.json("GET", "v1/models"))["data"]
    assert [model["id"] for model in models] == [BASE]
    names = {"dataset", "file", "record", "version", "operation", "job", "adapter"}
    walked = 0
    for route in all_routes():
        if route.parameters and set(route.parameters) <= names and "views" not in route.template:
            for method in route.methods:
                path = route.template.format(**things)
                body = grant("@x", "use") if path.endswith("grants") else body_of(route.template)
                answer = await again.request(method, path, json=body)
                assert answer.status_code == 404, (method, path, answer.text)
                walked += 1
    assert walked > 40
    for dataset in (group, mine):
        await again.json("GET", f"api/datasets/{dataset}", 404)
    await again.json("DELETE", f"api/keys/{key['id']}", 404)
    for model in ("notes", "@demo/notes", "@demo/notes@1", things["adapter"], things["job"]):
        await again.json("POST", CHAT, 404, json=chat(model))
    await again.json("POST", "a/@demo/notes/" + CHAT, 404, json=chat(""))
    await again.json("POST", "api/jobs", 404, json={"name": "x", "dataset": "secret"})
    await again.json("POST", "api/jobs", 404, json={"name": "x", "dataset": "@demo/secret"})
    # Names are free again: the new one's own `secret` is another thing.
    assert await again.dataset("secret") != things["dataset"]
    # Others keep what they were given.
    await guest.json("GET", f"api/adapters/{things['adapter']}")


async def test_keys_of_one_who_is_gone_are_dead_for_good(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    key = await new_program(service, demo, "notes")
    assert len((await key.json("GET", "v1/models"))["data"]) == 1
    service.identities.make_again("demo")
    assert (await key.json("GET", "v1/models"))["data"] == []  # the Hub's word is enough
    await whoami(service.client("demo"))
    await key.json("GET", "v1/models", 401)
    # Even for the very same user, put back from a backup.
    service.identities.created_at["demo"] = CREATED_AT
    await key.json("GET", "v1/models", 401)


async def test_streams_of_one_who_is_gone_end(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    fleet = TalkingFleet()
    connect(service, fleet)
    async with demo.stream("POST", CHAT, json=chat("notes", stream=True)) as answer:
        assert answer.status_code == 200
        stale = service.identities.models.copy()
        service.identities.make_again("demo")
        # Worst case: the Hub's old answer about the old token is still believed.
        service.identities.models |= stale
        await whoami(service.client("demo"))
        lines = [line async for line in answer.aiter_lines() if line]
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "not_allowed"
    await fleet.ended.wait()


async def test_an_old_token_that_is_still_believed_changes_nothing(
    service: Service, demo: Client
) -> None:
    await whoami(demo)
    stale = service.identities.models.copy()
    service.identities.make_again("demo")
    new = await whoami(service.client("demo"))
    service.identities.models |= stale
    problem = await demo.json("GET", "api/whoami", 403)
    assert problem["code"] == "not_allowed"
    await demo.json("POST", "api/datasets", 403, json={"name": "x"})
    ids = [row["id"] for row in await rows(service, "user", "demo") if row["state"] == "active"]
    assert ids == [new["id"]]


async def test_a_user_deleted_many_times_gets_a_new_slug_each_time(
    service: Service, demo: Client
) -> None:
    seen = {(await whoami(demo))["tenant"]}
    for _ in range(8):
        service.identities.make_again("demo")
        seen.add((await whoami(service.client("demo")))["tenant"])
    assert len(seen) == 9


async def test_many_requests_at_once_mint_one_successor(service: Service, demo: Client) -> None:
    await whoami(demo)
    service.identities.make_again("demo")
    clients = [service.client("demo", groups=("radiology", "new")) for _ in range(12)]
    ids = {found["id"] for found in await asyncio.gather(*map(whoami, clients))}
    assert len(ids) == 1
    assert len(await rows(service, "user", "demo")) == 2
    assert len(await rows(service, "group", "new")) == 1


async def test_a_hub_that_does_not_say_when_mints_and_inherits_nothing(
    service: Service, demo: Client
) -> None:
    await whoami(demo)
    model = service.identities.models.copy().popitem()[1]
    tenants = service.services.tenants
    for name in ("demo", "never-seen"):
        unknown = type(model)(name, "user", (), model.scopes)
        with pytest.raises(UnavailableError):
            await tenants.identity_of(unknown)
    assert await rows(service, "user", "never-seen") == []
    service.identities.silent = True
    await demo.json("GET", "api/whoami", 503)
    await service.client("second").json("GET", "api/whoami", 503)
    assert await rows(service, "user", "second") == []


async def test_a_tenant_of_the_first_release_learns_its_time(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    await service.services.db.write(
        lambda c: c.execute(tables.tenants.update().values(hub_created_at=None))
    )
    service.services.tenants._remembered.clear()
    await demo.json("GET", f"api/datasets/{things['dataset']}")
    (row,) = await rows(service, "user", "demo")
    assert row["hub_created_at"] == CREATED_AT
    service.identities.make_again("demo")
    await service.client("demo").json("GET", f"api/datasets/{things['dataset']}", 404)


async def test_the_very_user_comes_back_to_what_was_theirs(
    service: Service, demo: Client, things: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a Hub that lost its users for a while and was put back."""
    identities = service.identities
    kept = identities.models.copy()
    identities.delete("demo")
    await service.services.hub_watch.look()
    (row,) = await rows(service, "user", "demo")
    assert row["state"] == "dormant"
    identities.models, identities.gone = kept, set()
    await demo.json("GET", "api/whoami", 403)  # it may be an answer from before
    monkeypatch.setattr(succession, "WAKE_AFTER", timedelta(0))
    await demo.json("GET", f"api/datasets/{things['dataset']}")
    assert [action for action, _ in await actions(service, "tenant.")] == [
        "tenant.dormant",
        "tenant.wake",
    ]


# -- grants to somebody who never came --------------------------------------------------------


async def test_a_grant_to_a_user_who_never_came_is_not_for_who_comes_after(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}"
    await demo.json("PUT", f"{path}/grants", json=grant("@newcomer", "view"))
    service.identities.make_again("newcomer")
    after = service.client("newcomer")
    await after.json("GET", path, 404)
    # The grant is seen for what it is and can be removed; a new one is for the one who is there.
    await demo.json("PUT", f"{path}/grants", json=grant("@newcomer", "view"))
    await after.json("GET", path)
    await demo.json("DELETE", f"{path}/grants", 204, params={"principal": "@newcomer"})
    await after.json("GET", path)
    await demo.json("DELETE", f"{path}/grants", 204, params={"principal": "@newcomer"})
    await after.json("GET", path, 404)


async def test_a_grant_to_a_name_that_the_hub_has_not_is_for_whoever_comes_first(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}"
    service.identities.gone.add("later")
    await demo.json("PUT", f"{path}/grants", json=grant("@later", "view"))
    service.identities.gone.clear()
    await service.client("later").json("GET", path)
    service.identities.make_again("later")
    await service.client("later").json("GET", path, 404)


async def test_nothing_is_shared_while_the_hub_does_not_say_with_whom(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()

    class Silent(type(service.identities)):  # type: ignore[misc]
        async def user(self, hub_name: str) -> None:
            raise UnavailableError

    service.identities.__class__ = Silent
    for name in ("@guest", "@demo", "@nobody"):
        body = grant(name, "view")
        await demo.json("PUT", f"api/datasets/{dataset}/grants", 503, json=body)


# -- groups -----------------------------------------------------------------------------------


async def group_things(service: Service, member: Client) -> tuple[str, str]:
    ours = await member.dataset("ours", tenant="radiology")
    await member.upload(ours, alpaca(3))
    given = await service.client("giver", groups=("radiology",)).dataset("given")
    giver = service.client("giver", groups=("radiology",))
    await giver.json("PUT", f"api/datasets/{given}/grants", json=grant("radiology", "manage"))
    return ours, given


async def test_members_of_a_renamed_group_inherit_nothing(service: Service, demo: Client) -> None:
    ours, given = await group_things(service, demo)
    renamed = service.client("demo", groups=("imaging",))
    for dataset in (ours, given):
        await renamed.json("GET", f"api/datasets/{dataset}", 404)
    await renamed.json("POST", "api/datasets", 404, json={"name": "x", "tenant": "radiology"})
    assert await renamed.dataset("ours", tenant="imaging") != ours


async def test_a_group_that_is_gone_and_made_again_is_another(
    service: Service, demo: Client
) -> None:
    ours, given = await group_things(service, demo)
    service.identities.gone_groups.add("radiology")
    await service.services.hub_watch.look()
    (old,) = await rows(service, "group", "radiology")
    assert old["state"] == "dormant"
    assert await actions(service, "tenant.") == [("tenant.dormant", "group_gone")]
    service.identities.gone_groups.clear()
    # Old members, whose cached answers may still name the group, and new ones alike.
    for name in ("demo", "stranger"):
        member = service.client(name, groups=("radiology",))
        for dataset in (ours, given):
            await member.json("GET", f"api/datasets/{dataset}", 404)
    old, new = await rows(service, "group", "radiology")
    assert (old["state"], new["state"]) == ("dormant", "active")
    assert old["slug"] != new["slug"]
    await service.services.hub_watch.look()
    assert len(await rows(service, "group", "radiology")) == 2


async def test_streams_of_members_end_when_the_group_is_gone(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    ours, _ = await group_things(service, demo)
    await demo.json("PUT", f"api/jobs/{things['job']}/grants", json=grant("radiology", "view"))
    colleague = service.client("colleague", groups=("radiology",))
    async with colleague.stream("GET", f"api/jobs/{things['job']}/events") as answer:
        assert answer.status_code == 200
        service.identities.gone_groups.add("radiology")
        await service.services.hub_watch.look()
        lines = [line async for line in answer.aiter_lines()]
    assert "event: problem" in lines
    assert ours


async def test_a_removed_member_has_lost_it_at_the_next_request(
    service: Service, demo: Client
) -> None:
    ours, given = await group_things(service, demo)
    (token,) = [t for t, m in service.identities.models.items() if m.name == "demo"]
    service.identities.add(token, "demo", groups=())
    for dataset in (ours, given):
        await demo.json("GET", f"api/datasets/{dataset}", 404)


async def test_nobody_falls_asleep_by_a_hub_that_does_not_answer(
    service: Service, demo: Client
) -> None:
    ours, _ = await group_things(service, demo)
    identities = service.identities
    identities.gone_groups.add("radiology")
    identities.gone.add("demo")
    identities.silent = True
    with pytest.raises(UnavailableError):
        await service.services.hub_watch.look()
    identities.silent, identities.hides = False, True
    await service.services.hub_watch.look()
    identities.gone_groups.clear()
    identities.gone.clear()
    identities.hides = False
    await service.services.hub_watch.look()
    await demo.json("GET", f"api/datasets/{ours}")
    assert await actions(service, "tenant.") == []


async def test_a_suspended_group_is_nobodys(service: Service, demo: Client) -> None:
    ours, _ = await group_things(service, demo)
    group = tables.tenants.update().where(tables.tenants.c.kind == "group")
    await service.services.db.write(lambda c: c.execute(group.values(state="suspended")))
    await demo.json("GET", f"api/datasets/{ours}", 404)
    assert (await whoami(demo))["groups"] == []
    await service.services.db.write(lambda c: c.execute(group.values(state="active")))
    await demo.json("GET", f"api/datasets/{ours}")


def grant(principal: str, right: str) -> dict[str, str]:
    return {"principal": principal, "right": right}


def chat(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}

"""Sharing over HTTP: who may give what to whom, and what each right opens on each kind of thing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adaptery_hub.database import tables
from adaptery_hub.database.statements import grants
from support.service import Client, Service, running_service
from support.shared_things import OPTIONS, TalkingFleet, connect, make_things

KINDS = {"dataset": "datasets", "job": "jobs", "adapter": "adapters"}
RIGHTS = ("none", "use", "view", "edit", "manage")
#: What each operation needs, besides its scope. `{}` are filled with the ids of `make_things`.
NEEDS: dict[str, list[tuple[str, str, Any, str]]] = {
    "dataset": [
        ("GET", "api/datasets/{dataset}", None, "view"),
        ("GET", "api/datasets/{dataset}/files", None, "view"),
        ("GET", "api/datasets/{dataset}/files/{file}", None, "view"),
        ("GET", "api/datasets/{dataset}/records", None, "view"),
        ("GET", "api/datasets/{dataset}/records/1", None, "view"),
        ("POST", "api/datasets/{dataset}/records/search", {}, "view"),
        ("GET", "api/datasets/{dataset}/edits", None, "view"),
        ("GET", "api/datasets/{dataset}/versions", None, "view"),
        ("GET", "api/versions/{version}", None, "view"),
        ("GET", "api/versions/{version}/manifest", None, "view"),
        ("GET", "api/versions/{version}/records", None, "view"),
        ("GET", "api/versions/{version}/download", None, "view"),
        ("POST", "api/jobs", {"name": "mine", "dataset": "{version_name}"}, "use"),
        ("POST", "api/jobs", {"name": "mine", "dataset": "{version}"}, "use"),
        ("PATCH", "api/datasets/{dataset}", {"description": "x"}, "edit"),
        ("PATCH", "api/datasets/{dataset}", {"sensitivity": "restricted"}, "edit"),
        ("PATCH", "api/datasets/{dataset}", {"sensitivity": "open"}, "manage"),
        ("GET", "api/datasets/{dataset}/grants", None, "manage"),
    ],
    "job": [
        ("GET", "api/jobs/{job}", None, "view"),
        ("GET", "api/jobs/{job}/metrics", None, "view"),
        ("GET", "api/jobs/{job}/log", None, "view"),
        ("GET", "api/jobs/{job}/checkpoints", None, "view"),
        ("GET", "api/jobs/{job}/grants", None, "manage"),
        ("POST", "api/jobs/{job}/cancel", {}, "manage"),
    ],
    "adapter": [
        ("GET", "api/adapters/{adapter}", None, "use"),
        ("GET", "v1/models/{model}", None, "use"),
        ("GET", "v1/models/{job}", None, "use"),
        ("GET", "api/adapters/{adapter}/download", None, "view"),
        ("GET", "api/adapters/{adapter}/grants", None, "manage"),
        ("DELETE", "api/adapters/{adapter}", None, "manage"),
    ],
}
LISTED = {"dataset": "view", "job": "view", "adapter": "use"}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", **OPTIONS) as running:
        yield running


@pytest.fixture
async def things(service: Service, demo: Client) -> dict[str, str]:
    return await make_things(service, demo)


def path_of(kind: str, things: dict[str, str]) -> str:
    return f"api/{KINDS[kind]}/{things[kind]}/grants"


def filled(body: Any, things: dict[str, str]) -> Any:
    return body and {name: value.format(**things) for name, value in body.items()}


async def share(client: Client, path: str, principal: str, right: str, status: int = 200) -> Any:
    body = {"principal": principal, "right": right}
    return await client.json("PUT", path, status, json=body)


async def unshare(client: Client, path: str, principal: str, status: int = 204) -> Any:
    return await client.json("DELETE", path, status, params={"principal": principal})


async def listed(client: Client, path: str) -> list[tuple[str, str, str]]:
    items = (await client.json("GET", path))["items"]
    return [(item["principal"], item["kind"], item["right"]) for item in items]


async def tenants(service: Service) -> dict[str, str]:
    table = tables.tenants
    rows = await service.services.db.read(
        lambda c: c.execute(sa.select(table.c.hub_name, table.c.state)).all()
    )
    return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_each_right_opens_what_it_says_and_nothing_else(
    service: Service, demo: Client, guest: Client, things: dict[str, str], kind: str, right: str
) -> None:
    if right != "none":
        await share(demo, path_of(kind, things), "@guest", right)
    for method, template, body, needed in NEEDS[kind]:
        path = template.format(**things)
        answer = await guest.request(method, path, json=filled(body, things))
        case = (method, template, right, answer.text)
        if RIGHTS.index(right) >= RIGHTS.index(needed):
            assert answer.status_code < 300, case
        elif right == "none" or path.startswith("v1/"):
            assert answer.status_code == 404, case
        else:
            assert answer.status_code == 403, case
    shows = RIGHTS.index(right) >= RIGHTS.index(LISTED[kind])
    gone = kind == "adapter" and right == "manage"  # it was deleted above
    ids = [one["id"] for one in (await guest.json("GET", f"api/{KINDS[kind]}"))["items"]]
    assert (things[kind] in ids) == (shows and not gone)
    others = [other for other in KINDS if other != kind]
    for other in others:  # a grant reaches no further than its thing
        await guest.json("GET", f"api/{KINDS[other]}/{things[other]}", 404)


async def test_one_right_more_opens_chats_and_the_list_of_models(
    service: Service, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    connect(service, TalkingFleet())
    body = {"model": things["model"], "messages": [{"role": "user", "content": "hi"}]}
    body |= {"stream": True}
    assert (await guest.post("v1/chat/completions", json=body)).status_code == 404
    await share(demo, path_of("adapter", things), "@guest", "use")
    async with guest.stream("POST", "v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
    models = (await guest.json("GET", "v1/models"))["data"]
    assert things["model"] in [model["id"] for model in models]


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_only_who_manages_a_thing_shares_it(
    service: Service, demo: Client, guest: Client, things: dict[str, str], kind: str, right: str
) -> None:
    path = path_of(kind, things)
    status = {"none": 404, "manage": 200}.get(right, 403)
    if right != "none":
        await share(demo, path, "@guest", right)
    await share(guest, path, "@friend", "use", status)
    await guest.json("GET", path, status)
    assert len(await listed(demo, path)) == (right != "none") + (right == "manage")
    await unshare(guest, path, "@friend", 204 if status == 200 else status)
    # Scopes come first: who may only read shares nothing.
    reader = service.client("demo", scopes=("read",))
    await share(reader, path, "@friend", "use", 403)
    await unshare(reader, path, "@friend", 403)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_grant_is_given_changed_listed_and_removed(
    service: Service, demo: Client, guest: Client, things: dict[str, str], kind: str
) -> None:
    path = path_of(kind, things)
    await guest.json("GET", "api/whoami")
    made = await share(demo, path, "@guest", "view")
    assert (made["principal"], made["kind"], made["right"], made["by"]) == (
        "@guest",
        "user",
        "view",
        "@demo",
    )
    changed = await share(demo, path, "@guest", "use")
    assert (changed["id"], changed["right"]) == (made["id"], "use")
    await share(demo, path, "radiology", "manage")
    assert await listed(demo, path) == [
        ("@guest", "user", "use"),
        ("radiology", "group", "manage"),
    ]
    first = await demo.json("GET", f"{path}?limit=1")
    assert first["has_more"]
    rest = await demo.json("GET", f"{path}?after={made['id']}")
    assert [item["principal"] for item in rest["items"]] == ["radiology"]
    await unshare(demo, path, "@guest")
    await unshare(demo, path, "@guest", 404)
    assert await listed(demo, path) == [("radiology", "group", "manage")]


async def test_a_group_has_what_it_was_given_while_the_hub_says_so(
    service: Service, demo: Client, colleague: Client, things: dict[str, str]
) -> None:
    path = f"api/datasets/{things['dataset']}"
    await colleague.json("GET", path, 404)
    await share(demo, f"{path}/grants", "radiology", "edit")
    assert (await colleague.json("GET", path))["right"] == "edit"
    left = service.client("colleague", groups=())
    await left.json("GET", path, 404)
    came = service.client("newcomer", groups=("radiology",))
    await came.json("GET", path)


async def test_names_of_users_tell_nothing(
    service: Service, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    """A user who is there and one whom nobody knows get the same answers."""
    path = path_of("dataset", things)
    await guest.json("GET", "api/whoami")
    assert "nobody" not in await tenants(service)
    answers = []
    for name in ("guest", "nobody"):
        gone = await unshare(demo, path, f"@{name}", 404)
        made = await share(demo, path, f"@{name}", "view")
        again = await share(demo, path, f"@{name}", "use")
        items = (await demo.json("GET", path))["items"]
        await unshare(demo, path, f"@{name}")
        back = await unshare(demo, path, f"@{name}", 404)
        for answer in (gone, back):
            assert answer.pop("request_id")
        for grant in (made, again, *items):
            assert grant.pop("id") and grant.pop("created_at")
            assert grant.pop("principal") == f"@{name}"
        answers.append([gone, made, again, items, back])
    assert answers[0] == answers[1]


async def test_whoever_was_not_seen_yet_has_the_grant_when_they_come(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    path = path_of("dataset", things)
    name = "First.Last@example.edu"
    made = await share(demo, path, f"@{name}", "view")
    assert (await tenants(service))[name] == "expected"
    # The short name that was answered means the same; it makes nobody else.
    await share(demo, path, made["principal"], "edit")
    assert len(await listed(demo, path)) == 1
    first, second = service.client(name), service.client(name.lower())
    assert (await first.json("GET", f"api/datasets/{things['dataset']}"))["right"] == "edit"
    assert (await first.json("GET", "api/whoami"))["tenant"] == made["principal"]
    assert (await tenants(service))[name] == "active"
    await second.json("GET", f"api/datasets/{things['dataset']}", 404)


async def test_names_that_nobody_came_with_are_forgotten_with_their_last_grant(
    service: Service, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    await guest.json("GET", "api/whoami")
    dataset, job = path_of("dataset", things), path_of("job", things)
    for path in (dataset, job):
        for name in ("@typo", "@guest"):
            await share(demo, path, name, "view")
    await unshare(demo, dataset, "@typo")
    assert "typo" in await tenants(service)
    await unshare(demo, job, "@typo")
    assert "typo" not in await tenants(service)
    await unshare(demo, dataset, "@guest")
    await unshare(demo, job, "@guest")
    assert (await tenants(service))["guest"] == "active"
    adapter = path_of("adapter", things)
    await share(demo, adapter, "@typo", "view")
    await demo.json("DELETE", f"api/adapters/{things['adapter']}", 204)
    assert "typo" not in await tenants(service)
    await demo.json("GET", adapter, 404)
    typo = service.client("typo")  # who comes after that has nothing
    assert (await typo.json("GET", "api/datasets"))["items"] == []


async def test_groups_are_named_by_their_members_only(
    service: Service, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    path = path_of("dataset", things)
    await service.client("someone", groups=("surgery",)).json("GET", "api/whoami")
    problems = []
    for name in ("surgery", "no-such-group", "demo", "guest"):
        problem = await share(demo, path, name, "use", 422)
        assert problem.pop("request_id")
        problems.append(problem)
    assert all(problem == problems[0] for problem in problems)
    assert problems[0]["errors"][0]["where"] == "principal"
    # Whoever manages it may change what a group has, without being one of it.
    await share(demo, path, "radiology", "edit")
    await share(demo, path, "@guest", "manage")
    await share(guest, path, "radiology", "use")
    await unshare(guest, path, "radiology")
    await share(guest, path, "radiology", "use", 422)


async def test_a_name_that_could_be_two_accounts_is_refused(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    path = path_of("dataset", things)
    zoe = (await service.client("Zoë").json("GET", "api/whoami"))["tenant"]
    twin = service.client(zoe.removeprefix("@"))  # a Hub name made to be mistaken
    assert (await twin.json("GET", "api/whoami"))["tenant"] != zoe
    await share(demo, path, zoe, "view", 422)
    assert await listed(demo, path) == []
    assert (await share(demo, path, "@Zoë", "view"))["principal"] == zoe
    await twin.json("GET", f"api/datasets/{things['dataset']}", 404)
    await unshare(demo, path, zoe)  # of the two, one has a grant


@pytest.mark.parametrize(
    "principal", ["", "@", "@ demo", "@de\u0000mo", "@a\nb", " x", "@" + "x" * 300]
)
async def test_what_is_no_name_is_refused(
    demo: Client, things: dict[str, str], principal: str
) -> None:
    path = path_of("dataset", things)
    await share(demo, path, principal, "use", 422)
    answer = await demo.delete(path, params={"principal": principal})
    assert answer.status_code in (404, 422)  # of a query, spaces around it are left out


async def test_a_malformed_grant_is_refused(demo: Client, things: dict[str, str]) -> None:
    path = path_of("dataset", things)
    for body in (
        {"principal": "@guest"},
        {"principal": "@guest", "right": "own"},
        {"principal": "@guest", "right": 4},
        {"principal": ["@guest"], "right": "use"},
        {"principal": "@guest", "right": "use", "thing_id": "ds_x"},
    ):
        await demo.json("PUT", path, 422, json=body)
    await demo.json("DELETE", path, 422)
    await demo.json("DELETE", f"{path}?principal=@a&principal=@b", 422)
    await demo.json("DELETE", f"{path}?principal=@a&right=use", 422)


async def test_an_owner_is_neither_granted_nor_removed(
    service: Service, demo: Client, colleague: Client, guest: Client, things: dict[str, str]
) -> None:
    for kind in KINDS:
        path = path_of(kind, things)
        await share(demo, path, "@guest", "manage")
        for client in (demo, guest):
            await share(client, path, "@demo", "use", 409)
            await unshare(client, path, "@demo", 409)
        await unshare(guest, path, "@guest")  # one's own grant
        await guest.json("GET", path, 404)


async def test_an_owning_group_can_be_given_manage_and_nothing_less(
    service: Service, demo: Client, colleague: Client
) -> None:
    dataset = await demo.dataset("ours", tenant="radiology")
    path = f"api/datasets/{dataset}/grants"
    await unshare(demo, path, "radiology", 409)
    for right in ("use", "view", "edit"):
        problem = await share(demo, path, "radiology", right, 409)
        assert problem["errors"][0]["where"] == "right"
    await colleague.json("GET", path, 403)
    await share(demo, path, "radiology", "manage")
    await colleague.json("GET", path)
    await unshare(colleague, path, "radiology")
    await colleague.json("GET", path, 403)


async def test_there_are_limits_that_say_what_to_do(
    service: Service, demo: Client, things: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "GRANTS_PER_THING", 2)
    monkeypatch.setattr(grants, "GRANTS_PER_CREATOR", 3)
    dataset, job = path_of("dataset", things), path_of("job", things)
    await share(demo, dataset, "@one", "use")
    await share(demo, dataset, "@two", "use")
    assert (await share(demo, dataset, "@three", "use", 429))["code"] == "quota_exceeded"
    await share(demo, dataset, "@two", "view")  # a change needs no room
    await share(demo, job, "@one", "view")
    await share(demo, job, "@two", "view", 429)
    assert "three" not in await tenants(service)


async def test_sharing_is_written_down_with_names_and_rights(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    path = path_of("adapter", things)
    await share(demo, path, "@guest", "view")
    await unshare(demo, path, "@guest")
    table = tables.audit
    rows = await service.services.db.read(
        lambda c: c.execute(
            sa.select(table.c.action, table.c.details)
            .where(table.c.thing_id == things["adapter"])
            .order_by(table.c.seq)
        ).all()
    )
    details = {"principal": "@guest", "right": "view"}
    assert [tuple(row) for row in rows] == [("grant.put", details), ("grant.remove", details)]


async def test_sharing_asks_the_hub_again(
    service: Service, demo: Client, things: dict[str, str]
) -> None:
    before = service.identities.fresh_checks
    await share(demo, path_of("dataset", things), "@guest", "view")
    await unshare(demo, path_of("dataset", things), "@guest")
    assert service.identities.fresh_checks == before + 2


async def test_what_a_trainee_makes_is_the_trainees(
    service: Service, demo: Client, guest: Client, things: dict[str, str]
) -> None:
    """The owner of a dataset has no right on jobs of others that learn from it."""
    await share(demo, path_of("dataset", things), "@guest", "use")
    body = {"name": "mine", "dataset": things["version_name"]}
    job = (await guest.json("POST", "api/jobs", 201, json=body))["id"]
    await demo.json("GET", f"api/jobs/{job}", 404)
    await unshare(demo, path_of("dataset", things), "@guest")
    await guest.json("POST", "api/jobs", 404, json=body)
    await guest.json("GET", f"api/jobs/{job}")

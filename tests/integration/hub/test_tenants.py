"""Users and groups that a real Hub deletes and makes again: who comes after inherits nothing."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from local_hub import HubProcess, HubUser
from support.api import ALL_SCOPES, Api, alpaca
from support.waiting import eventually_sync

ADMIN_SCOPES = [*ALL_SCOPES, "custom:adaptery:admin"]
#: Groups are looked at every 30 s.
PATIENCE_SECONDS = 60
#: As identity providers name them.
LAB, OTHER_LAB = "/lab north?", "/zoë & co/50%#2"


class HubAdmin:
    """What an administrator of the Hub does with users and groups."""

    def __init__(self, hub: HubProcess, admin: HubUser) -> None:
        self._hub, self._admin = hub, admin

    def ask(self, method: str, path: str, **kwargs: Any) -> Any:
        answer = self._admin.hub_api(method, path, **kwargs)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def make_user(self, name: str) -> Api:
        """Make a user, and return what a program with their token reaches."""
        self.ask("POST", f"users/{name}")
        return self.api_of(name)

    def api_of(self, name: str) -> Api:
        made = self.ask("POST", f"users/{name}/tokens", json={"scopes": ALL_SCOPES})
        return Api.with_token(self._hub, made["token"])

    def delete_user(self, name: str) -> None:
        self.ask("DELETE", f"users/{name}")


@pytest.fixture
def hub_admin(hub: HubProcess, admin: HubUser) -> HubAdmin:
    return HubAdmin(hub, admin)


@pytest.fixture
def boss(admin: HubUser) -> Iterator[Api]:
    yield Api.of(admin, ADMIN_SCOPES)


def make_dataset(api: Api, name: str, **fields: Any) -> str:
    dataset = api.json("POST", "api/datasets", 201, json={"name": name, **fields})["id"]
    api.json("PUT", f"api/datasets/{dataset}/files/a.json", 201, content=alpaca(3))
    return dataset


def test_a_user_who_is_made_again_is_another(
    hub_admin: HubAdmin, boss: Api, guest_api: Api
) -> None:
    first = hub_admin.make_user("leaver")
    before = first.json("GET", "api/whoami")
    mine = make_dataset(first, "mine")
    given = make_dataset(guest_api, "given-to-leaver")
    grant = {"principal": "@leaver", "right": "manage"}
    guest_api.json("PUT", f"api/datasets/{given}/grants", json=grant)
    first.json("GET", f"api/datasets/{given}")

    hub_admin.delete_user("leaver")
    second = hub_admin.make_user("leaver")
    after = second.json("GET", "api/whoami")  # at once: while the old token is still believed
    assert after["name"] == before["name"] == "leaver"
    assert after["id"] != before["id"] and after["tenant"] != before["tenant"]
    assert second.json("GET", "api/datasets")["items"] == []
    for dataset in (mine, given):
        second.json("GET", f"api/datasets/{dataset}", 404)
    # The old token is nobody's now; it never speaks for the one who came after.
    for path in ("api/whoami", f"api/datasets/{mine}"):
        assert first.get(path).status_code in (401, 403)

    dormant = boss.json("GET", "api/tenants", params={"state": "dormant", "search": "leaver"})
    (old,) = dormant["items"]
    assert (old["id"], old["datasets"]) == (before["id"], 1)
    boss.json("GET", f"api/datasets/{mine}", 404)
    moved = boss.json("POST", f"api/tenants/{old['id']}/reassign", json={"to": "@leaver"})
    assert moved["to"] == after["tenant"] and moved["datasets"] == 1
    assert second.json("GET", f"api/datasets/{mine}")["right"] == "manage"
    second.json("GET", f"api/datasets/{given}", 404)
    hub_admin.delete_user("leaver")


def test_a_grant_to_one_who_never_came_is_not_for_who_comes_after(
    hub_admin: HubAdmin, guest_api: Api
) -> None:
    hub_admin.make_user("shy")
    dataset = make_dataset(guest_api, "given-to-shy")
    grant = {"principal": "@shy", "right": "view"}
    guest_api.json("PUT", f"api/datasets/{dataset}/grants", json=grant)
    hub_admin.delete_user("shy")
    hub_admin.make_user("shy").json("GET", f"api/datasets/{dataset}", 404)
    hub_admin.delete_user("shy")


def test_a_renamed_user_and_who_gets_the_name(hub_admin: HubAdmin) -> None:
    first = hub_admin.make_user("maiden")
    mine = make_dataset(first, "mine")
    hub_admin.ask("PATCH", "users/maiden", json={"name": "married"})
    second = hub_admin.make_user("maiden")
    second.json("GET", f"api/datasets/{mine}", 404)
    assert second.json("GET", "api/datasets")["items"] == []
    for name in ("maiden", "married"):
        hub_admin.delete_user(name)


@pytest.mark.slow
def test_a_group_that_is_made_again_is_another(hub_admin: HubAdmin, boss: Api) -> None:
    hub_admin.make_user("member")
    for group in (LAB, OTHER_LAB):
        hub_admin.ask("POST", f"groups/{quote(group, safe='')}", json={"users": ["member"]})
    member = hub_admin.api_of("member")
    ours = make_dataset(member, "ours", tenant=LAB)
    make_dataset(member, "theirs", tenant=OTHER_LAB)
    hub_admin.ask("DELETE", f"groups/{quote(LAB, safe='')}")

    def is_dormant() -> bool:
        found = boss.json("GET", "api/tenants", params={"state": "dormant", "kind": "group"})
        return LAB in [one["hub_name"] for one in found["items"]]

    eventually_sync(is_dormant, timeout_seconds=PATIENCE_SECONDS, every_seconds=1)
    hub_admin.ask("POST", f"groups/{quote(LAB, safe='')}", json={"users": ["member"]})
    again = hub_admin.api_of("member")
    again.json("GET", f"api/datasets/{ours}", 404)
    assert make_dataset(again, "ours", tenant=LAB) != ours
    # The other group was looked at, too, and is there.
    found = boss.json("GET", "api/tenants", params={"kind": "group", "search": OTHER_LAB})
    assert [one["state"] for one in found["items"]] == ["active"]
    hub_admin.delete_user("member")
    for group in (LAB, OTHER_LAB):
        hub_admin.ask("DELETE", f"groups/{quote(group, safe='')}")


def test_a_service_token_sees_who_is_there(boss: Api) -> None:
    """Of all users that came here, those whom the Hub has are active."""
    boss.json("GET", "api/whoami")
    found = boss.json("GET", "api/tenants", params={"search": "admin", "kind": "user"})
    assert [(one["name"], one["state"]) for one in found["items"]] == [("@admin", "active")]

"""What the Hub says about the owner of a key, whose own token did not come."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jupyterhub.services.auth import HubOAuth
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from adaptery.errors import UnavailableError
from adaptery_hub.hub_users import HubUser, HubUsers


class Hub:
    """A Hub that knows users as the test says."""

    def __init__(self) -> None:
        self.users: dict[str, Any] = {}
        self.status = 200
        self.asked: list[tuple[str, str]] = []
        hub = self

        class Users(RequestHandler):
            def get(self, name: str) -> None:
                hub.asked.append((name, self.request.headers["Authorization"]))
                self.set_status(hub.status if name in hub.users else 404)
                self.finish(hub.users.get(name, {}))

        socket, port = bind_unused_port()
        self.server = HTTPServer(Application([(r"/hub/api/users/([^/]+)", Users)]))
        self.server.add_socket(socket)
        self.auth = HubOAuth(
            api_url=f"http://127.0.0.1:{port}/hub/api",
            api_token="service-token",
            oauth_client_id="adaptery",
            cache_max_age=30,
        )


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    yield hub
    hub.server.stop()
    await hub.server.close_all_connections()


async def test_groups_and_creation_are_the_hubs(hub: Hub) -> None:
    hub.users["zoë/x"] = {"groups": ["b", "a"], "created": "2026-01-02T03:04:05.000000Z"}
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert await HubUsers(hub.auth).get("zoë/x") == HubUser("zoë/x", ("a", "b"), created)
    assert hub.asked == [("zoë/x", "token service-token")]


async def test_an_answer_is_believed_for_a_while_and_then_asked_for_again(hub: Hub) -> None:
    hub.users["demo"] = {"groups": ["radiology"], "created": None}
    users = HubUsers(hub.auth)
    for _ in range(3):
        user = await users.get("demo")
        assert user is not None and user.groups == ("radiology",)
    assert len(hub.asked) == 1
    hub.users["demo"] = {"groups": []}
    hub.auth.cache_max_age = 0
    user = await users.get("demo")
    assert user is not None and user.groups == ()


async def test_a_user_who_is_gone_is_none(hub: Hub) -> None:
    users = HubUsers(hub.auth)
    assert await users.get("demo") is None
    assert await users.get("demo") is None
    assert len(hub.asked) == 1


@pytest.mark.parametrize("status", [301, 401, 403, 500, 503])
async def test_a_hub_that_does_not_say_lets_nobody_in(hub: Hub, status: int) -> None:
    hub.users["demo"] = {"groups": ["radiology"]}
    hub.status = status
    users = HubUsers(hub.auth)
    with pytest.raises(UnavailableError):
        await users.get("demo")
    hub.status = 200
    assert await users.get("demo") is not None  # a failure is not kept


async def test_an_answer_that_is_none_lets_nobody_in(hub: Hub) -> None:
    users = HubUsers(hub.auth)
    for answer in ("not json", {"groups": 7}, {"groups": [], "created": "yesterday"}):
        hub.users["demo"] = answer
        with pytest.raises(UnavailableError):
            await users.get("demo")

"""What the Hub says about a token, asked again while one request goes on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from jupyterhub.services.auth import HubOAuth
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from adaptery.errors import UnavailableError
from adaptery_hub.handlers.base import Handler
from adaptery_hub.hub_users import UNDATED
from adaptery_hub.identity import HubIdentities
from adaptery_hub.routes import Route


class ChangingHub(HubOAuth):
    """Says about the one token, and about the one user, what the test says at the time."""

    says: dict[str, Any] | None = None
    #: What it says about a token from the second question on, if that is something else.
    says_then: dict[str, Any] | None = None
    #: What its client raises instead.
    breaks: Exception | None = None
    asked = 0

    async def user_for_token(self, token: str, **options: Any) -> dict[str, Any] | None:
        """See `HubAuth`."""
        self.asked += 1
        if self.breaks is not None:
            raise self.breaks
        return self.says if options.get("use_cache", True) else self.says_then or self.says


class ChangingUsers:
    """A Hub's answers about users, over HTTP."""

    def __init__(self) -> None:
        self.says: dict[str, Any] | None = {"created": "2026-01-02T03:04:05.000000Z", "groups": []}
        self.asked = 0
        users = self

        class Users(RequestHandler):
            def get(self, name: str) -> None:
                users.asked += 1
                self.set_status(404 if users.says is None else 200)
                self.finish(users.says or {})

        socket, self.port = bind_unused_port()
        self.server = HTTPServer(Application([(r"/hub/api/users/([^/]+)", Users)]))
        self.server.add_socket(socket)


@pytest.fixture
async def users() -> AsyncIterator[ChangingUsers]:
    users = ChangingUsers()
    yield users
    users.server.stop()
    await users.server.close_all_connections()


@pytest.fixture
def hub(users: ChangingUsers) -> ChangingHub:
    hub = ChangingHub(
        access_scopes=set(),
        oauth_client_id="adaptery",
        api_token="none",
        api_url=f"http://127.0.0.1:{users.port}/hub/api",
    )
    hub.says = {"name": "demo", "kind": "user", "groups": ["radiology"], "scopes": []}
    return hub


def running_request() -> Handler:
    connection = SimpleNamespace(set_close_callback=lambda call: None, context=None)
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", "/services/adaptery/api/jobs/x/events", "HTTP/1.1"),
        headers=HTTPHeaders({"Authorization": "Bearer secret", "Host": "hub"}),
        connection=connection,  # type: ignore[arg-type]
    )
    services: Any = SimpleNamespace(open_requests=set())
    application = Application(cookie_secret="for tests")
    return Handler(application, request, services=services, route=Route("x", Handler, {}))


async def test_a_request_that_goes_on_learns_what_the_hub_says_now(hub: ChangingHub) -> None:
    assert hub.says is not None
    identities, handler = HubIdentities(hub), running_request()
    first = await identities.identify(handler, fresh=False)
    assert first is not None and first.groups == ("radiology",)
    hub.says = hub.says | {"groups": []}
    second = await identities.identify(handler, fresh=False)
    assert second is not None and second.groups == ()
    hub.says = None
    assert await identities.identify(handler, fresh=False) is None


async def test_a_user_comes_with_its_time_of_creation_and_is_asked_for_once(
    hub: ChangingHub, users: ChangingUsers
) -> None:
    identities, handler = HubIdentities(hub), running_request()
    for fresh in (False, True, False):
        model = await identities.identify(handler, fresh=fresh)
        assert model is not None
        assert model.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert users.asked == 1
    assert "secret" not in repr(vars(identities._owners))


async def test_who_was_replaced_between_two_answers_is_nobody(
    hub: ChangingHub, users: ChangingUsers
) -> None:
    identities = HubIdentities(hub)
    hub.says_then = {"name": "somebody-else", "kind": "user", "scopes": []}
    assert await identities.identify(running_request(), fresh=False) is None
    hub.says_then = None
    assert await identities.identify(running_request(), fresh=False) is not None


async def test_a_hub_service_has_no_time_of_creation(
    hub: ChangingHub, users: ChangingUsers
) -> None:
    hub.says = {"name": "monitor", "kind": "service", "scopes": []}
    model = await HubIdentities(hub).identify(running_request(), fresh=False)
    assert model is not None and model.created_at is None
    assert users.asked == 0


@pytest.mark.parametrize("broken", [ClientPayloadError(), TimeoutError(), ValueError("no JSON")])
async def test_a_hub_that_breaks_off_its_answer_did_not_answer(
    hub: ChangingHub, broken: Exception
) -> None:
    hub.breaks = broken
    for fresh in (False, True):
        with pytest.raises(UnavailableError, match="did not answer"):
            await HubIdentities(hub).identify(running_request(), fresh=fresh)


@pytest.mark.parametrize("said", [None, {"groups": []}, {"created": "yesterday"}])
async def test_a_hub_that_does_not_say_when_lets_nobody_in(
    hub: ChangingHub, users: ChangingUsers, said: dict[str, Any] | None
) -> None:
    users.says = said
    identities = HubIdentities(hub)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await identities.identify(running_request(), fresh=False)


async def test_users_from_before_the_hub_kept_it_share_one_time(
    hub: ChangingHub, users: ChangingUsers
) -> None:
    users.says = {"created": None, "groups": []}
    model = await HubIdentities(hub).identify(running_request(), fresh=False)
    assert model is not None and model.created_at == UNDATED

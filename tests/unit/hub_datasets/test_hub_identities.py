"""What the Hub says about a token, asked again while one request goes on."""

from types import SimpleNamespace
from typing import Any

from jupyterhub.services.auth import HubOAuth
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application

from adaptery_hub.handlers.base import Handler
from adaptery_hub.identity import HubIdentities
from adaptery_hub.routes import Route


class ChangingHub(HubOAuth):
    """Says about the one token what the test says at the time."""

    says: dict[str, Any] | None = None

    async def user_for_token(self, token: str, **options: Any) -> dict[str, Any] | None:
        """See `HubAuth`."""
        return self.says


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


async def test_a_request_that_goes_on_learns_what_the_hub_says_now() -> None:
    hub = ChangingHub(access_scopes=set(), oauth_client_id="adaptery", api_token="none")
    identities, handler = HubIdentities(hub), running_request()
    hub.says = {"name": "demo", "kind": "user", "groups": ["radiology"], "scopes": []}
    first = await identities.identify(handler, fresh=False)
    assert first is not None and first.groups == ("radiology",)
    hub.says = hub.says | {"groups": []}
    second = await identities.identify(handler, fresh=False)
    assert second is not None and second.groups == ()
    hub.says = None
    assert await identities.identify(handler, fresh=False) is None

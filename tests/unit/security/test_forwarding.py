"""What the browser's path becomes at the service: the one that was checked, and no other."""

from urllib.parse import quote

import httpx
import pytest
from tornado.routing import _unquote_or_none

from adaptery_jupyter.forward import target_of

SERVICE = "http://127.0.0.1:8000/services/adaptery/"
PREFIX = "/services/adaptery/"


def forwarded(sent: str, query: str = "") -> tuple[str, str] | None:
    """Return path (decoded as the service does) and raw query of what goes out."""
    path = _unquote_or_none(sent)  # what tornado hands to a handler
    assert path is not None
    target = target_of(SERVICE, path.decode(), query)
    if target is None:
        return None
    url = httpx.URL(target)
    raw, _, rest = url.raw_path.decode().partition("?")
    arrived = _unquote_or_none(raw)
    assert arrived is not None
    return arrived.decode().removeprefix(PREFIX), rest


@pytest.mark.parametrize(
    "name",
    ["why?.json", "#1.json", "a%41.json", "100%.json", "50%25.json", "a b+c;d&e=f", "ä.json"],
)
def test_a_name_arrives_as_it_was_sent(name: str) -> None:
    sent = f"api/datasets/ds_1/files/{quote(name, safe='')}"
    assert forwarded(sent, "search=x%20y") == (f"api/datasets/ds_1/files/{name}", "search=x+y")


@pytest.mark.parametrize(
    "sent",
    [
        "api/../hub",
        "api/%2e%2e/hub",
        "api/./x",
        "api//x",
        "api/%2E%2E%2Fhub/api",
        "api/x/",
        "v1/..",
    ],
)
def test_no_spelling_leaves_the_two_roots(sent: str) -> None:
    assert forwarded(sent) is None


def test_dots_that_are_encoded_twice_stay_a_name() -> None:
    found = forwarded("api/%252e%252e/%252e%252e/hub/api/users")
    assert found == ("api/%2e%2e/%2e%2e/hub/api/users", "")


def test_tokens_of_the_jupyter_server_stay_there() -> None:
    assert forwarded("api/jobs", "token=secret&after=jb_1&_xsrf=2%7Cx") == (
        "api/jobs",
        "after=jb_1",
    )

"""The service's page in a browser's session: who gets it, and what its calls must carry."""

from collections.abc import Iterator

import httpx
import pytest

from local_hub import HubProcess, HubUser
from support.api import Journey

PREFIX = "/services/adaptery/"
#: What a browser sends with a call of a script, and with a page that a person opens.
SCRIPT = {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}
PERSON = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
CALLS = [
    ("GET", "api/whoami"),
    ("GET", "api/datasets"),
    ("GET", "api/jobs"),
    ("GET", "v1/models"),
    ("POST", "api/datasets"),
    ("POST", "v1/chat/completions"),
    ("DELETE", "api/datasets/ds_01hzzzzzzzzzzzzzzzzzzzzzzz"),
]


class Session:
    """One user's page, and the calls of the scripts on it."""

    def __init__(self, user: HubUser) -> None:
        self.client = user.client
        self.page = self.client.get(PREFIX, headers=PERSON)
        assert self.page.status_code == 200
        self.xsrf = user.xsrf(PREFIX)

    def call(self, method: str, path: str, xsrf: str | None) -> httpx.Response:
        headers = {**SCRIPT, **({"X-XSRFToken": xsrf} if xsrf is not None else {})}
        body = {"json": {}} if method == "POST" else {}
        return self.client.request(
            method, PREFIX + path, headers=headers, follow_redirects=False, **body
        )


@pytest.fixture(scope="module")
def session(demo: HubUser) -> Session:
    return Session(demo)


@pytest.fixture
def passing(hub: HubProcess) -> Iterator[HubUser]:
    """A user whose session may be ended."""
    yield HubUser(hub, "guest")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_session_without_its_xsrf_token_is_refused(
    session: Session, method: str, path: str
) -> None:
    for wrong in (None, "", "x", session.xsrf[:-1]):
        answer = session.call(method, path, wrong)
        assert answer.status_code == 403, (wrong, answer.text)
        assert "X-XSRFToken" in answer.text
        assert "Location" not in answer.headers


@pytest.mark.parametrize("mode", [None, "navigate", "websocket", "no-cors"])
@pytest.mark.parametrize("path", ["api/whoami", "api/usage?format=csv", "v1/models"])
def test_no_kind_of_request_needs_no_xsrf_token(
    session: Session, path: str, mode: str | None
) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", **({"Sec-Fetch-Mode": mode} if mode else {})}
    refused = session.client.get(PREFIX + path, headers=headers, follow_redirects=False)
    assert refused.status_code == 403 and "X-XSRFToken" in refused.text
    headers["X-XSRFToken"] = session.xsrf
    let_in = session.client.get(PREFIX + path, headers=headers, follow_redirects=False)
    assert let_in.status_code == 200, let_in.text


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_session_with_its_xsrf_token_is_let_in(session: Session, method: str, path: str) -> None:
    answer = session.call(method, path, session.xsrf)
    # A body that lacks what is asked for; OpenAI's routes answer it as OpenAI does.
    invalid = 400 if path.startswith("v1/") else 422
    expected = {"GET": 200, "POST": invalid, "DELETE": 404}[method]
    assert answer.status_code == expected, answer.text


def test_the_token_of_another_users_session_is_refused(session: Session, guest: HubUser) -> None:
    other = Session(guest)
    assert other.xsrf != session.xsrf
    assert session.call("GET", "api/datasets", other.xsrf).status_code == 403
    assert other.call("GET", "api/datasets", session.xsrf).status_code == 403


def test_the_page_names_its_user_and_nothing_of_others(
    session: Session, guest: HubUser, journey: Journey
) -> None:
    theirs = Session(guest).page.text
    assert "<strong>guest</strong>" in theirs and "<strong>demo</strong>" in session.page.text
    for text in (theirs, session.page.text):
        for thing in (journey.dataset, journey.job, journey.adapter):
            assert thing["name"] not in text and thing["id"] not in text
    assert "radiology" not in theirs and "demo" not in theirs


def test_without_a_session_a_person_is_sent_to_the_login_and_a_script_is_not(
    hub: HubProcess,
) -> None:
    anonymous = httpx.Client(base_url=hub.url)
    hub.clients.append(anonymous)
    sent = anonymous.get(PREFIX, headers=PERSON)
    assert sent.status_code == 302 and "/hub/api/oauth2/authorize" in sent.headers["Location"]
    refused = anonymous.get(PREFIX, headers=SCRIPT)
    assert refused.status_code == 401 and "Location" not in refused.headers
    for method, path in CALLS:
        answer = anonymous.request(method, PREFIX + path, headers=SCRIPT)
        assert answer.status_code == 401 and "Location" not in answer.headers


def test_after_the_logout_from_the_hub_no_call_is_answered(passing: HubUser) -> None:
    session = Session(passing)
    assert session.call("GET", "api/whoami", session.xsrf).status_code == 200
    session.client.get("/hub/logout")
    for method, path in CALLS:
        answer = session.call(method, path, session.xsrf)
        assert answer.status_code in (401, 403), (path, answer.status_code)
        assert "Location" not in answer.headers


def test_the_cookie_that_scripts_read_is_only_for_this_page(session: Session) -> None:
    cookies = [c for c in session.client.cookies.jar if c.path == PREFIX]
    readable = [c.name for c in cookies if not c.has_nonstandard_attr("HttpOnly")]
    assert readable == ["_xsrf"]
    assert len(cookies) > 1, "the session's own cookie is kept from scripts"

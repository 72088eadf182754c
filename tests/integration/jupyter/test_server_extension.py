"""What the Jupyter server forwards, what it serves itself, and to whom."""

import httpx
import pytest

from adaptery_jupyter.forward import BODY_LIMIT_BYTES

from .conftest import SERVICE_TOKEN, JupyterServer, NotingService

PATHS = ["adaptery/about", "adaptery/views/hosts.js", "adaptery/api/jobs", "adaptery/v1/models"]


@pytest.mark.parametrize("path", PATHS)
def test_who_is_not_logged_in_gets_json_and_no_redirect(
    server: JupyterServer, service: NotingService, path: str
) -> None:
    before = len(service.arrivals)
    answer = httpx.get(f"{server.url}/{path}")
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["message"]
    assert len(service.arrivals) == before


def test_a_view_is_a_module_that_the_browser_may_keep(browser: httpx.Client) -> None:
    answer = browser.get("/adaptery/views/hosts.js")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = browser.get(
        "/adaptery/views/hosts.js", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "verbs.json",
        "..%2f__init__.py",
        "%2e%2e%2ferrors.py",
        "..%2fviews%2fhosts.js",
        "hosts.js%00",
        "hosts.js%0a",
        "hosts",
        ".js",
        "%2fetc%2fpasswd",
    ],
)
def test_nothing_but_built_views_is_served(browser: httpx.Client, name: str) -> None:
    answer = browser.get(f"/adaptery/views/{name}")
    assert answer.status_code == 404, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


def test_what_is_forwarded_carries_the_servers_token_and_no_cookie(
    browser: httpx.Client, service: NotingService
) -> None:
    headers = {"X-XSRFToken": browser.cookies["_xsrf"], "X-Mine": "1"}
    for _ in range(2):  # the first answer brings a cookie of the service
        answer = browser.post("/adaptery/api/jobs", json={"name": "a"}, headers=headers)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
    arrival = service.arrivals[-1]
    assert (arrival.method, arrival.path) == ("POST", "/services/adaptery/api/jobs")
    assert arrival.headers["authorization"] == f"Bearer {SERVICE_TOKEN}"
    assert arrival.body_bytes > 0
    assert not {"cookie", "x-xsrftoken", "x-mine"} & arrival.headers.keys()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("token", ["2|wrong|wrong|1", ""])
def test_a_write_without_the_right_xsrf_token_goes_nowhere(
    browser: httpx.Client, service: NotingService, method: str, token: str
) -> None:
    before = len(service.arrivals)
    headers = {"X-XSRFToken": token} if token else {}
    answer = browser.request(method, "/adaptery/api/jobs", headers=headers)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/json"
    assert len(service.arrivals) == before


def test_a_body_over_the_limit_is_refused_with_the_limit(
    browser: httpx.Client, service: NotingService
) -> None:
    headers = {"X-XSRFToken": browser.cookies["_xsrf"]}
    path = "/adaptery/api/datasets/ds_1/files/a.json"
    fits = browser.put(path, content=b" " * BODY_LIMIT_BYTES, headers=headers)
    assert fits.status_code == 200
    assert service.arrivals[-1].body_bytes == BODY_LIMIT_BYTES
    before = len(service.arrivals)
    refused = browser.put(path, content=b" " * (3 * BODY_LIMIT_BYTES), headers=headers)
    assert refused.status_code == 413
    assert refused.json()["code"] == "too_large"
    assert str(BODY_LIMIT_BYTES) in refused.json()["detail"] and refused.json()["hint"]
    assert len(service.arrivals) == before


def test_odd_requests_are_forwarded_or_refused_in_words(
    browser: httpx.Client, service: NotingService
) -> None:
    odd = browser.get("/adaptery/api/jobs", headers={"Accept": b"text/\xe9"})
    assert odd.status_code == 200
    assert service.arrivals[-1].headers["accept"] == "text/\xe9"
    # A proxy that packed the answer would make it unreadable: it is passed on as it comes.
    assert service.arrivals[-1].headers["accept-encoding"] == "identity"
    long = browser.get("/adaptery/api/" + "!" * 25_000)  # three times as long once it is encoded
    assert (long.status_code, long.json()["code"]) == (404, "not_found")


def test_an_answer_that_breaks_off_does_not_look_whole(browser: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        browser.get("/adaptery/api/cut")


def test_about_says_whether_there_is_a_service_and_not_where(
    browser: httpx.Client, lonely_server: JupyterServer
) -> None:
    assert browser.get("/adaptery/about").json() == {"service": True}
    with lonely_server.browser() as alone:
        assert alone.get("/adaptery/about").json() == {"service": False}
        answer = alone.get("/adaptery/api/jobs")
    assert answer.status_code == 503
    assert "ADAPTERY_URL" in answer.json()["hint"]

"""The service's own page: a shell that holds nothing of anybody's, and the views that it shows."""

from html.parser import HTMLParser

import pytest

from adaptery_hub.handlers.page import PAGE_POLICY
from support.service import Client, Service

BROWSER = {"Accept": "text/html,*/*", "Sec-Fetch-Mode": "navigate"}


class Document(HTMLParser):
    """The elements of a page, and whatever a policy without `unsafe-inline` would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.words = ""
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(self._within)
        self.words += data

    def attributes(self, tag: str) -> dict[str, str | None]:
        return next(attributes for name, attributes in self.elements if name == tag)


def check_policy(headers) -> None:  # type: ignore[no-untyped-def]
    assert headers["Content-Security-Policy"] == PAGE_POLICY
    assert PAGE_POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


async def test_the_page_is_a_shell_without_inline_scripts_or_styles(demo: Client) -> None:
    answer = await demo.get("", headers=BROWSER)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    check_policy(answer.headers)
    page = Document(answer.text)
    assert page.inline == []
    sources = [found.get("src") for tag, found in page.elements if tag == "script"]
    assert sources == ["/services/adaptery/views/page.js"]
    assert page.attributes("link")["href"] == "/services/adaptery/views/page.css"
    links = {found["href"] for tag, found in page.elements if tag == "a"}
    assert {"/hub/user-redirect/lab", "/hub/logout", "#panel", "#chat"} <= links
    assert "needs JavaScript" in page.words


async def test_links_lead_to_the_hub_wherever_it_is(
    demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_HOST", "https://hub.example.edu")
    monkeypatch.setenv("JUPYTERHUB_BASE_URL", "/base/")
    text = (await demo.get("", headers=BROWSER)).text
    assert 'href="https://hub.example.edu/base/hub/logout"' in text
    assert 'href="https://hub.example.edu/base/hub/user-redirect/lab"' in text


async def test_the_page_holds_nothing_that_anybody_owns(demo: Client, colleague: Client) -> None:
    for client, name in ((demo, "canary-of-demo"), (colleague, "canary-of-colleague")):
        await client.dataset(name, description=f"{name} described")
    for client in (demo, colleague):
        text = (await client.get("", headers=BROWSER)).text
        assert "canary" not in text
    assert "colleague" not in (await demo.get("")).text


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "\" onfocus='alert(1)' x=\"", "a&lt;b", "{{ 1 + 1 }}"]
)
async def test_names_of_the_hub_are_only_text(service: Service, name: str) -> None:
    client = service.client(name, groups=(f"group {name}",))
    answer = await client.get("", headers=BROWSER)
    page = Document(answer.text)
    assert page.inline == []
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert name in page.words and f"group {name}" in page.words
    assert page.attributes("body")["data-user"] == (await client.json("GET", "api/whoami"))["id"]


async def test_who_may_not_read_is_told_so_in_html(service: Service) -> None:
    client = service.client("<b>only-infer</b>", scopes=("infer",))
    answer = await client.get("", headers=BROWSER)
    assert answer.status_code == 403
    check_policy(answer.headers)
    page = Document(answer.text)
    assert page.inline == [] and "script" not in [tag for tag, _ in page.elements]
    assert "custom:adaptery:read" in page.words and "only-infer" not in page.words
    assert (await client.get("", headers={"Accept": "*/*"})).json()["code"] == "not_allowed"


@pytest.mark.parametrize("path", ["nope", "nope/<b>deeper", "api/nope", "views/nope/page.js"])
async def test_a_browser_finds_the_way_back_from_an_unknown_path(
    service: Service, path: str
) -> None:
    stranger = service.anonymous()
    answer = await stranger.get(path, headers=BROWSER)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    check_policy(answer.headers)
    page = Document(answer.text)
    assert page.inline == [] and "script" not in [tag for tag, _ in page.elements]
    assert page.attributes("a")["href"] == "/services/adaptery/"
    assert "no such page" in page.words and "deeper" not in answer.text
    for accept in ("*/*", "application/json"):
        answer = await stranger.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["v1/nope", "a/@demo/soap/v1/nope"])
async def test_an_unknown_path_of_openai_is_json_also_for_a_browser(
    service: Service, path: str
) -> None:
    answer = await service.anonymous().get(path, headers=BROWSER)
    assert answer.json()["error"]["code"] == "not_found"


async def test_whoami_says_where_the_service_is(
    demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await demo.json("GET", "api/whoami"))["url"] == "/services/adaptery/"
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://services.example.edu/adaptery/")
    said = (await demo.json("GET", "api/whoami"))["url"]
    assert said == "https://services.example.edu/adaptery/"


async def test_who_may_only_read_may_open_the_page(service: Service) -> None:
    reader = service.client("reader", scopes=("read",))
    assert (await reader.get("", headers=BROWSER)).status_code == 200


async def test_a_script_without_a_session_is_not_sent_to_the_login(service: Service) -> None:
    answer = await service.anonymous().get("", headers={"Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 401 and "Location" not in answer.headers


@pytest.mark.parametrize(
    "file",
    [
        "..%2f__init__.py",
        "..%2f..%2fadaptery%2fviews%2fpage.js",
        "%2e%2e%2fpage.js",
        "%2fetc%2fpasswd",
        "page.js%00",
        "page.js%0a",
        "x.py",
        "nothing.js",
        "__init__.py",
        "verbs.json",
        "page.js.map",
        ".js",
        "",
    ],
)
async def test_only_built_views_are_public(service: Service, file: str) -> None:
    answer = await service.anonymous().get(f"views/{file}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("file", "media"), [("page.js", "text/javascript"), ("page.css", "text/css")]
)
async def test_a_view_is_kept_until_it_changes(service: Service, file: str, media: str) -> None:
    anonymous = service.anonymous()
    answer = await anonymous.get(f"views/{file}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == f"{media}; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Set-Cookie" not in answer.headers
    known = {"If-None-Match": answer.headers["ETag"]}
    again = await anonymous.get(f"views/{file}", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    other = await anonymous.get(f"views/{file}", headers={"If-None-Match": '"of-an-older-release"'})
    assert other.content == answer.content

"""The Keys view on the service's own page: a key is made, seen once, used, rotated and revoked."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from adaptery.key_secrets import is_well_formed
from local_hub import HubProcess
from support.api import Journey
from support.browser import BrowserLog
from support.service_page import ServicePage
from support.view_pages import PATIENCE_MS
from support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(600)

NAME = "triage pipeline"
HELLO = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}


class KeysPage:
    """The Keys view, found and used by words."""

    def __init__(self, view: Locator) -> None:
        self.view = view
        self.dialog = view.get_by_role("dialog")
        self.rows = view.locator("tbody").get_by_role("row")
        self.secret = self.dialog.locator(".secret")

    def make(self, name: str, adapter: str, requests: str = "60") -> None:
        """Fill the form, with the keyboard where that is quicker, and send it."""
        self.view.get_by_role("button", name="New key").click()
        keyboard = self.view.page.keyboard
        keyboard.type(name)
        keyboard.press("Tab")
        keyboard.type(adapter.split("@")[1])
        expect(self.dialog.get_by_role("option", name=adapter)).to_be_visible()
        keyboard.press("Enter")
        expect(self.dialog.get_by_role("list", name="Chosen adapters")).to_contain_text(adapter)
        self.dialog.get_by_label("Tokens per day").fill("100000")
        self.dialog.get_by_label("Requests per minute").fill(requests)
        keyboard.press("Enter")

    def take_secret(self) -> str:
        """Show the secret that is shown once, read it and close."""
        expect(self.secret).to_contain_text("•", timeout=PATIENCE_MS)
        self.dialog.get_by_role("button", name="Show the secret").click()
        secret = self.secret.inner_text()
        assert is_well_formed(secret)
        self.dialog.get_by_role("button", name="Close").click()
        expect(self.dialog).to_have_count(0)
        return secret

    def row(self, name: str) -> Locator:
        return self.rows.filter(has_text=name)

    def press(self, action: str, name: str) -> None:
        self.view.get_by_role("button", name=f"{action}: {name}", exact=True).click()


@pytest.fixture(scope="module")
def service(
    hub: HubProcess, journey: Journey, browser: tuple[Page, BrowserLog]
) -> Iterator[ServicePage]:
    page = ServicePage(browser[0], hub, "demo")
    page.enter()
    yield page


def ask(hub: HubProcess, secret: str, adapter: str) -> httpx.Response:
    """Ask as a program outside the Hub that has nothing but its key."""
    address = f"{hub.service_url}a/{adapter}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.post(address, headers=headers, json=HELLO, timeout=60)


def test_a_key_is_made_seen_once_used_rotated_and_revoked(
    service: ServicePage, hub: HubProcess, journey: Journey
) -> None:
    adapter = journey.adapter["full_name"]
    keys = KeysPage(service.go_to("Keys", "keys"))
    expect(keys.view).to_contain_text("You have no key yet.", timeout=PATIENCE_MS)
    keys.make(NAME, adapter)
    first = keys.take_secret()
    check_unseen(service, first)
    assert ask(hub, first, adapter).status_code == 200
    expect(keys.row(NAME)).to_contain_text("in force")
    expect(keys.row(NAME)).to_contain_text("Last used", timeout=PATIENCE_MS)
    keys.press("Rotate", NAME)
    keys.dialog.get_by_role("button", name="Make a new secret").click()
    second = keys.take_secret()
    assert second != first
    assert ask(hub, first, adapter).status_code == 401
    assert ask(hub, second, adapter).status_code == 200
    keys.press("Revoke", NAME)
    expect(keys.dialog).to_contain_text(f"to ask {adapter} stops")
    keys.dialog.get_by_role("button", name="Revoke the key").click()
    expect(keys.row(NAME)).to_contain_text("revoked", timeout=PATIENCE_MS)
    expect(keys.row(NAME).get_by_role("button")).to_have_count(0)
    eventually_sync(lambda: ask(hub, second, adapter).status_code == 401, timeout_seconds=10)
    check_unseen(service, second)


def check_unseen(service: ServicePage, secret: str) -> None:
    """Check that a secret that was shown is nowhere in the page, its address or its storages."""
    page = service.page
    assert secret[7:] not in page.content() and secret[7:] not in page.url
    kept = (
        "JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.cookie])"
    )
    assert secret[7:] not in page.evaluate(kept)
    page.reload()
    expect(service.view("keys")).to_contain_text(NAME, timeout=PATIENCE_MS)
    assert secret[7:] not in page.content()


def test_an_adapter_leads_to_its_keys_and_to_one_that_asks_it(
    service: ServicePage, journey: Journey
) -> None:
    adapter = journey.adapter["full_name"]
    chat = service.go_to("Chat", "chat")
    chat.get_by_role("button", name="Use from outside").click(timeout=PATIENCE_MS)
    keys = KeysPage(service.view("keys"))
    expect(keys.view.get_by_role("heading", name=adapter)).to_be_visible()
    assert service.page.url.endswith(f"#keys?adapter={adapter}")
    keys.view.get_by_role("button", name="New key").click()
    expect(keys.dialog.get_by_role("list", name="Chosen adapters")).to_contain_text(adapter)
    service.page.keyboard.press("Escape")
    expect(keys.dialog).to_have_count(0)


def test_nobody_loses_a_secret_by_pressing_escape_once(
    service: ServicePage, journey: Journey
) -> None:
    service.go_to("Overview", "panel")
    keys = KeysPage(service.go_to("Keys", "keys"))
    keys.make("lost", journey.adapter["full_name"])
    expect(keys.secret).to_contain_text("•", timeout=PATIENCE_MS)
    service.page.keyboard.press("Escape")
    expect(keys.dialog.get_by_role("alert")).to_contain_text("not copied yet")
    keys.dialog.get_by_role("button", name="Close without it").click()
    expect(keys.dialog).to_have_count(0)
    expect(keys.row("lost")).to_contain_text("Never used")


def test_what_the_service_refuses_is_said_at_its_field(
    service: ServicePage, journey: Journey
) -> None:
    keys = KeysPage(service.go_to("Keys", "keys"))
    keys.make("wrong", journey.adapter["full_name"], requests="many")
    field = keys.dialog.get_by_label("Requests per minute")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    service.page.keyboard.press("Escape")


def test_a_session_without_its_xsrf_header_makes_no_key(
    service: ServicePage, journey: Journey
) -> None:
    code = """async (adapter) => (await fetch("api/keys", {method: "POST", headers:
        {"Content-Type": "application/json"}, body: JSON.stringify(
        {name: "forged", adapters: [adapter]})})).status"""
    assert service.page.evaluate(code, journey.adapter["full_name"]) in (401, 403)
    keys = service.view("keys")
    service.page.reload()
    expect(keys).to_contain_text(NAME, timeout=PATIENCE_MS)
    expect(keys).not_to_contain_text("forged")


def test_an_unknown_path_leads_back(service: ServicePage, hub: HubProcess) -> None:
    service.page.goto(f"{hub.service_url}nope")
    service.page.get_by_role("link", name=re.compile("overview")).click()
    expect(service.part("Datasets")).to_be_visible(timeout=PATIENCE_MS)
    answer = httpx.get(f"{hub.service_url}nope")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_nothing_was_refused_by_the_policy_of_the_page(browser: tuple[Page, BrowserLog]) -> None:
    """Runs last. What is refused on purpose above is said there too."""
    expected = re.compile(r"40[134] \(|422 \(")
    assert [line for line in browser[1].console_errors if not expected.search(line)] == []

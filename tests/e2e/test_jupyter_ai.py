"""Jupyter AI in a Lab that the Hub spawned: it answers with the user's adapter, unconfigured.

Jupyter AI and this repository's wheel are in an environment of their own, as in an image for users.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from clients.real_clients import JUPYTER_AI, note
from local_hub import HubProcess
from support.browser import open_browser
from support.client_environments import Environment, install_wheel
from support.hubs import start_hub
from support.view_pages import PATIENCE_MS, LabPages
from tiny import build_tiny_model

pytestmark = pytest.mark.timeout(1500)  # the first use installs Jupyter AI

ADAPTER = "@demo/soap@1"
#: What the notebook extra of this product brings, which the wheel is installed without.
NOTEBOOK = ("anywidget", "cryptography", "ipykernel", "ipywidgets", "pyarrow", "rfc8785")


@pytest.fixture(scope="module")
def singleuser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    environment = Environment("jupyter-ai", (*JUPYTER_AI.requirements, *NOTEBOOK))
    python = environment.python()
    install_wheel(python, tmp_path_factory.mktemp("wheel"))
    return python.with_name("jupyterhub-singleuser")


@pytest.fixture(scope="module")
def hub(singleuser: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    base = build_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
    state = tmp_path_factory.mktemp("e2e") / "state"
    config = Path(__file__).with_name("jupyterhub_config.py")
    hub = start_hub(state, base, config, ADAPTERY_TEST_SINGLEUSER=str(singleuser))
    try:
        yield hub
    finally:
        hub.stop()


@pytest.fixture(scope="module")
def chat(
    hub: HubProcess, journey: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    with open_browser(tmp_path_factory.mktemp("browser")) as (page, _):
        LabPages(page, hub, "demo").enter()
        page.locator(".jp-LauncherCard", has_text=re.compile("^Chat$")).first.click()
        expect(page.get_by_placeholder("Type a chat message")).to_be_visible(timeout=PATIENCE_MS)
        yield page


def control(chat: Page, words: str) -> Locator:
    """The persona or the model that is chosen, below the message."""
    return chat.locator("#jp-main-dock-panel").get_by_role("button", name=words).last


def test_the_newest_adapter_is_chosen_already(chat: Page) -> None:
    for words in ("Adaptery", ADAPTER):
        expect(control(chat, words)).to_be_visible(timeout=PATIENCE_MS)


def test_it_answers_and_the_answer_is_the_adapters(chat: Page, hub: HubProcess) -> None:
    chat.get_by_placeholder("Type a chat message").fill("Write note 3.")
    chat.keyboard.press("Enter")
    messages = chat.locator(".jp-chat-message")
    expect(messages).to_have_count(2, timeout=PATIENCE_MS)
    answer = messages.last.locator(".jp-chat-rendered-message")
    expect(answer).to_contain_text(re.compile(r"\S"), timeout=PATIENCE_MS)
    assert "context" not in answer.inner_text()  # the tiny model's window is small
    assert "Traceback" not in hub.log and "Write note 3." not in hub.log


def test_the_base_model_is_on_offer_too(chat: Page) -> None:
    control(chat, ADAPTER).click()
    expect(chat.get_by_text("SmolLM2").last).to_be_visible()
    if os.environ.get("ADAPTERY_RECORD_CLIENTS"):  # the last test: all of them passed
        note(JUPYTER_AI.name, list(JUPYTER_AI.features))

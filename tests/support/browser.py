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
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

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
WINDOW = {"width": 1200, "height": 800}
LOCAL_SCHEMES = ("blob", "data", "about", "chrome", "chrome-extension", "chrome-untrusted")


@dataclass
class BrowserLog:
    """What a browser said and asked for while it was open."""

    #: Chromium's own record of all its traffic; complete once the browser is closed.
    net_log: Path
    console_errors: list[str] = field(default_factory=list)

    def hosts(self) -> set[str]:
        """Return every host that anything in the browser asked for."""
        log = json.loads(self.net_log.read_text())
        urls = (event.get("params", {}).get("url", "") for event in log["events"])
        split = [urlsplit(url) for url in urls if isinstance(url, str)]
        return {url.hostname or "" for url in split if url.scheme not in ("", *LOCAL_SCHEMES)}

    def listen(self, page: Page) -> None:
        """Keep what a page complains about."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.console_errors.append(f"{error} {error.stack}"))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            location: Any = message.location
            self.console_errors.append(f"{message.text} {location.get('url', '')}")


@contextmanager
def open_browser(folder: Path) -> Iterator[tuple[Page, BrowserLog]]:
    """Open a browser with one page; its profile and its network log are in `folder`."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("There is no chromium; `make chromium` installs it.")
    log = BrowserLog(folder / "net-log.json")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=chromium,
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

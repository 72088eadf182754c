"""What the benchmark of the views runs on: a real service, a real Lab before it, a real browser.

Lab runs without a Hub, as a server that knows the service (`ADAPTERY_URL`) and a token for it: all
that the browser asks takes the way that it takes behind a Hub, except the Hub's proxy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from local_hub import free_ports, wait_for
from support.browser import FLAGS, WINDOW

HERE = Path(__file__).resolve().parent
READY_SECONDS = 600
SERVER_TOKEN = "token-of-the-server"
#: Nothing is asked from outside, and the news question does not cover what is measured.
SETTINGS = {"fetchNews": "false", "checkForUpdates": False}


@dataclass
class BenchService:
    """The service's process, and what it tells."""

    process: subprocess.Popen[str]
    about: dict[str, Any]
    stamps: list[float] = field(default_factory=list)

    def listen(self) -> None:
        """Keep the stamps of first tokens; runs in a thread until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.stamps.append(float(json.loads(line)["first_token_at"]))


@dataclass(frozen=True)
class Stage:
    """Everything that a measure needs."""

    browser: Browser
    service: BenchService
    lab_url: str

    def page(self) -> Page:
        """Open a page of a fresh profile, logged in to the server."""
        context = self.browser.new_context(viewport=WINDOW)
        page = context.new_page()
        page.goto(f"{self.lab_url}api/status?token={SERVER_TOKEN}")
        page.goto(f"{self.lab_url}lab?token={SERVER_TOKEN}")
        return page


@contextmanager
def open_stage(folder: Path, records: int) -> Generator[Stage]:
    """Start everything; it ends with the `with` block."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("There is no chromium; `make chromium` installs it.")
    with (
        _service(folder / "service", records) as service,
        _lab(folder / "lab", service.about) as lab_url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            yield Stage(browser, service, lab_url)
        finally:
            browser.close()


@contextmanager
def _service(folder: Path, records: int) -> Generator[BenchService]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "views_service.py"), str(folder), str(records)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("The service of the benchmark did not start.")
        service = BenchService(process, json.loads(line))
        threading.Thread(target=service.listen, daemon=True).start()
        yield service
    finally:
        _end(process)


@contextmanager
def _lab(folder: Path, about: dict[str, Any]) -> Generator[str]:
    home = folder / "home"
    settings = home / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(SETTINGS))
    port = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    environment = {
        **os.environ,
        "ADAPTERY_URL": about["url"],
        "JUPYTERHUB_API_TOKEN": about["token"],
        "JUPYTERLAB_SETTINGS_DIR": str(home / "lab" / "user-settings"),
        "JUPYTER_CONFIG_DIR": str(home),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "HOME": str(folder),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"),
        *(f"--port={port}", f"--IdentityProvider.token={SERVER_TOKEN}", "--allow-root"),
        f"--ServerApp.root_dir={folder}",
    ]
    with (folder / "lab.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for(lambda: _answers(url), timeout_seconds=60, every_seconds=0.2)
            yield url
        finally:
            _end(process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}api", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _end(process: subprocess.Popen[Any]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    else:
        process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def at(page: Page, script: str) -> float:
    """Return a moment of the page, as seconds since the epoch; `script` gives its milliseconds."""
    return float(page.evaluate(f"performance.timeOrigin + ({script})")) / 1000


__all__ = ["BenchService", "Stage", "at", "open_stage"]

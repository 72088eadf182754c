"""A notebook in a user's Lab: cells are typed and run, views are used in their outputs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.view_pages import PATIENCE_MS, LabPages
from support.waiting import eventually_sync


class NotebookPage:
    """One notebook of demo, made with a first cell."""

    def __init__(self, page: Page, hub: HubProcess, name: str, first: str) -> None:
        self.page = page
        self.lab = LabPages(page, hub, "demo")
        self.file = hub.state / "home/demo" / name
        self.cells = page.locator(".jp-Notebook .jp-CodeCell")
        _write(self.file, first)

    def enter(self) -> None:
        """Log in, open the notebook in Lab, wait for its kernel and run the first cell."""
        self.lab.enter()
        self.page.goto(f"{self.lab.url}/lab/tree/{self.file.name}")
        self.cells.first.locator(".cm-content").click(timeout=PATIENCE_MS)
        kernel = self.page.locator(".jp-Notebook-ExecutionIndicator")
        expect(kernel).to_have_attribute("data-status", "idle", timeout=PATIENCE_MS)
        self.page.keyboard.press("Shift+Enter")
        expect(self.cells).to_have_count(2)

    def run(self, *lines: str) -> Locator:
        """Type these lines into the last cell, run it, and return its output."""
        count = self.cells.count()
        cell = self.cells.nth(count - 1)
        cell.locator(".cm-content").click()
        # Typed letter by letter, Lab would close brackets and indent lines by itself.
        self.page.keyboard.insert_text("\n".join(lines))
        self.page.keyboard.press("Shift+Enter")
        expect(self.cells).to_have_count(count + 1)
        return cell.locator(".jp-OutputArea")

    def show(self, code: str, name: str) -> Locator:
        """Run a cell that shows a view, and wait for that."""
        return self.view(self.run(code), name)

    def view(self, output: Locator, name: str) -> Locator:
        shown = output.locator(f".ady-{name}")
        expect(shown).to_be_visible(timeout=PATIENCE_MS)
        return shown

    def restart_kernel(self) -> None:
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Confirm Kernel Restart").click()

    def save_with_widget_state(self) -> dict[str, Any]:
        """Save the notebook as whoever wants to keep its widgets does, and return it."""
        self.page.get_by_role("menuitem", name="Settings", exact=True).click()
        self.page.get_by_role("menuitem", name="Save Widget State Automatically").click()
        self.cells.first.locator(".cm-content").click()

        def saved_state() -> dict[str, Any]:
            self.page.keyboard.press("Control+s")  # again until the setting has come into force
            return json.loads(self.file.read_text())["metadata"].get("widgets", {})

        eventually_sync(saved_state, timeout_seconds=60, every_seconds=1)
        return json.loads(self.file.read_text())


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


def _write(path: Path, code: str) -> None:
    cell = {
        "cell_type": "code",
        "id": "first",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": code,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel}
    content = {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content))

"""The views in a user's Lab, found and used as a user does: by words, mouse and keyboard."""

import base64
import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess

#: Lab on a machine that is busy with other tests.
PATIENCE_MS = 90_000

_DROP = """(zone, { name, content }) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    for (const type of ["dragenter", "dragover", "drop"])
        zone.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
}"""
_HAS_INK = """(canvas) => canvas.width > 0 &&
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"""


class LabPages:
    """One user's Lab with the panel and the tabs of Adaptery."""

    def __init__(self, page: Page, hub: HubProcess, user: str) -> None:
        self.page = page
        self.hub = hub
        self.user = user
        self.url = f"{hub.url}/user/{user}"
        self.panel = page.get_by_role("region", name="Adaptery", exact=True)
        self.tabs = page.locator("#jp-main-dock-panel .lm-TabBar-tab")
        self.toasts = page.locator(".Toastify__toast")

    def enter(self) -> None:
        """Log in, start the server with the mouse, and wait for Lab."""
        self.page.goto(f"{self.hub.url}/hub/login?next=/hub/home")
        self.page.get_by_label("Username").click()
        self.page.keyboard.type(self.user)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(self.hub.passwords[self.user])
        self.page.keyboard.press("Enter")
        self.page.get_by_role("button", name="Start My Server").click(timeout=PATIENCE_MS)
        self.page.wait_for_url(f"**/user/{self.user}/lab**", timeout=PATIENCE_MS)
        news = self.page.get_by_role("button", name="No", exact=True)
        self.page.add_locator_handler(news, lambda button: button.click())
        expect(self.page.locator(".jp-Launcher").first).to_be_visible(timeout=PATIENCE_MS)

    def show_panel(self) -> Locator:
        """Show the panel beside the tabs."""
        if not self.panel.is_visible():
            self.page.locator(".jp-SideBar .lm-TabBar-tab[title='Adaptery']").click()
        expect(self.panel.locator(".ady-panel")).to_be_visible(timeout=PATIENCE_MS)
        return self.panel

    def part(self, name: str) -> Locator:
        """One of the lists of the panel."""
        return self.panel.get_by_role("region", name=name, exact=True)

    def open(self, part: str, button: str, view: str) -> Locator:
        """Open a view by a button of the panel, or by the name of a thing in it."""
        self.part(part).get_by_role("button", name=button).first.click(timeout=PATIENCE_MS)
        return self.view(view)

    def view(self, name: str) -> Locator:
        """Wait for the view that is in front."""
        shown = self.page.locator(f"#jp-main-dock-panel .ady-{name}:visible").first
        expect(shown).to_be_visible(timeout=PATIENCE_MS)
        return shown

    def go_to_tab(self, title: str) -> None:
        self.tabs.filter(has_text=title).first.click()

    def close_tab(self, title: str) -> None:
        self.tabs.filter(has_text=title).first.locator(".lm-TabBar-tabCloseIcon").click()

    def titles(self) -> list[str]:
        """What the tabs of views are called, sorted; Lab does not bring its launcher back."""
        words = (text.strip() for text in self.tabs.all_inner_texts())
        return sorted(title for title in words if title != "Launcher")

    def reload(self) -> None:
        """Load the page again, once Lab has saved which tabs are open."""
        with self.page.expect_response("**/lab/api/workspaces/**", timeout=PATIENCE_MS):
            pass
        self.page.reload()


class CuratePage:
    """A dataset in the Curate view."""

    def __init__(self, view: Locator) -> None:
        self.view = view
        self.page = view.page
        self.zone = view.get_by_role("button", name="Drop files here")
        self.sending = view.locator(".sending")
        self.count = view.locator(".records .count")
        self.said = view.locator(".records .tools .soft")
        self.record = view.get_by_role("region", name="Record", exact=True)
        self.undo = view.get_by_role("button", name=re.compile("^Undo"))
        self.redo = view.get_by_role("button", name=re.compile("^Redo"))
        self.published = view.locator(".publishing")

    def make(self, name: str) -> None:
        """Make a dataset with the keyboard; its form may be open already."""
        begin = self.view.get_by_role("button", name="New dataset")
        form = self.view.get_by_role("form", name="New dataset")
        expect(begin.or_(form)).to_be_visible(timeout=PATIENCE_MS)
        if begin.is_visible():
            begin.click()
        form.get_by_label("Name").press_sequentially(name)
        self.page.keyboard.press("Enter")
        expect(self.view.get_by_role("heading", name=name)).to_be_visible(timeout=PATIENCE_MS)

    def part(self, name: str) -> None:
        """Go to Records, Files, Review, Splits or Versions."""
        self.view.get_by_role("tab", name=name, exact=True).click()

    def choose_file(self, path: Path) -> None:
        with self.page.expect_file_chooser() as chosen:
            self.zone.click()
        chosen.value.set_files(path)

    def drop_file(self, name: str, content: bytes) -> None:
        """Drag a file onto the drop zone and let it go."""
        dropped = {"name": name, "content": base64.b64encode(content).decode()}
        self.zone.evaluate(_DROP, dropped)

    def upload(self, name: str) -> Locator:
        """What is said of the upload of a file."""
        return self.sending.locator("li").filter(has_text=name)

    def open_record(self, words: str) -> None:
        self.view.get_by_role("row").filter(has_text=words).first.click()
        expect(self.record.get_by_role("button", name="Edit")).to_be_visible()

    def write(self, words: str) -> None:
        """Write the last message of the record in the editor."""
        field = self.record.get_by_role("textbox").last
        field.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(words)

    def press(self, name: str) -> None:
        """Press a button of the record."""
        self.record.get_by_role("button", name=name, exact=True).click()

    def publish(self) -> None:
        self.view.get_by_role("button", name="Publish", exact=True).click()
        dialog = self.view.get_by_role("dialog")
        dialog.get_by_role("button", name="Publish", exact=True).click()
        expect(self.published).to_contain_text("Published ", timeout=PATIENCE_MS)


class WatchPage:
    """One job in the Watch view."""

    def __init__(self, view: Locator) -> None:
        self.view = view
        self.loss = view.locator("figure").filter(has_text="Loss").first
        self.log = view.get_by_role("log")

    def wait_for_charts(self, count: int = 4) -> None:
        """Wait until every chart has drawn something."""
        charts = self.view.locator("figure:visible canvas")
        expect(charts).to_have_count(count, timeout=PATIENCE_MS)
        for index in range(count):
            canvas = charts.nth(index).element_handle()
            assert canvas is not None
            self.view.page.wait_for_function(_HAS_INK, arg=canvas, timeout=PATIENCE_MS)

    def wait_for_end(self, timeout_ms: int = 2 * PATIENCE_MS) -> None:
        expect(self.view.locator("header .chip")).to_have_text("completed", timeout=timeout_ms)
        expect(self.view).to_contain_text("Mean loss", timeout=PATIENCE_MS)

    def points_of_loss(self) -> int:
        """Read from its table how many points the chart of the loss holds."""
        table = self.loss.get_by_role("table")
        if not table.is_visible():
            self.loss.get_by_role("button", name="Show as table").click()
        words = table.locator("caption").inner_text()
        found = re.search(r"of ([\d,]+) points", words)
        assert found, words
        return int(found[1].replace(",", ""))


class ChatPage:
    """The Chat view."""

    def __init__(self, view: Locator) -> None:
        self.view = view
        self.model = view.get_by_label("Model", exact=True)
        self.message = view.get_by_label("Message", exact=True)
        self.said = view.locator(".said")
        self.problem = view.get_by_role("alert")

    def ask(self, question: str) -> None:
        self.message.click()
        self.view.page.keyboard.type(question)
        self.view.page.keyboard.press("Enter")

    def wait_for_answer(self) -> None:
        expect(self.view.get_by_role("button", name="Send")).to_be_visible(timeout=PATIENCE_MS)
        expect(self.said.last).not_to_be_empty()

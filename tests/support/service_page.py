"""The service's own page, found and used as a user does: by words, mouse and keyboard."""

from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.view_pages import PATIENCE_MS


class ServicePage:
    """One user's page with its navigation, and the view that it shows."""

    def __init__(self, page: Page, hub: HubProcess, user: str) -> None:
        self.page = page
        self.hub = hub
        self.user = user
        self.main = page.get_by_role("main")
        self.who = page.get_by_role("banner")

    def enter(self) -> None:
        """Open the page, which sends to the login and takes whoever comes back from it."""
        self.page.goto(self.hub.service_url)
        self.page.get_by_label("Username").click()
        self.page.keyboard.type(self.user)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(self.hub.passwords[self.user])
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/services/adaptery/**", timeout=PATIENCE_MS)
        expect(self.part("Datasets")).to_be_visible(timeout=PATIENCE_MS)

    def part(self, name: str) -> Locator:
        """One of the lists of the overview."""
        return self.main.get_by_role("region", name=name, exact=True)

    def link(self, name: str) -> Locator:
        """An entry of the navigation."""
        return self.page.get_by_role("navigation", name="Views").get_by_role("link", name=name)

    def view(self, name: str) -> Locator:
        """Wait for a view."""
        shown = self.main.locator(f".ady-{name}")
        expect(shown).to_be_visible(timeout=PATIENCE_MS)
        return shown

    def go_to(self, name: str, view: str) -> Locator:
        """Go to a view by the navigation."""
        self.link(name).click()
        return self.view(view)

    def open(self, address: str) -> Locator:
        """Open an address, such as `watch?job=jb_…`, as if somebody had typed it."""
        self.page.evaluate("(hash) => { location.hash = hash; }", address)
        return self.view(address.partition("?")[0])

    @property
    def address(self) -> str:
        """What the page shows, as the part of its address after `#`."""
        return self.page.url.partition("#")[2]

"""The Jobs widget: all jobs, how each is doing, and what became of it."""

from __future__ import annotations

from typing import Any

from adaptery.client import Hub
from adaptery_widgets._kernel_host import ViewWidget


class Jobs(ViewWidget):
    """The Jobs view in a notebook: `Jobs()` on the last line of a cell shows it.

    Args:
        search: words to look for at first.
        hub: a connection; the one that this server knows if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    view = "jobs"

    def __init__(self, search: str | None = None, hub: Hub | None = None) -> None:
        super().__init__(hub)
        self._search = search

    def start(self) -> dict[str, Any]:
        """See `ViewWidget.start`."""
        return {} if self._search is None else {"search": self._search}

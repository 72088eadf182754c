"""The Jobs widget: all jobs, how each is doing, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adaptery.client import Hub, Job
from adaptery_widgets._kernel_host import ViewWidget
from adaptery_widgets._named import job_id


class Jobs(ViewWidget):
    """The Jobs view in a notebook: `Jobs()` on the last line of a cell shows it.

    Args:
        search: words to look for at first.
        compare: jobs, or their ids or names, whose curves are laid over each other; two to six.
        hub: a connection; the one that this server knows if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    view = "jobs"

    def __init__(
        self,
        search: str | None = None,
        hub: Hub | None = None,
        compare: Sequence[Job | str] = (),
    ) -> None:
        super().__init__(hub, *compare)
        self._search = search
        self._compared = tuple(compare)

    def start(self) -> dict[str, Any]:
        """See `ViewWidget.start`."""
        shown: dict[str, Any] = {} if self._search is None else {"search": self._search}
        if self._compared:
            shown["compare"] = ",".join(job_id(self.hub, job) for job in self._compared)
        return shown

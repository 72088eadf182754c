"""The Watch widget: a job while it learns, with its charts and its log."""

from __future__ import annotations

from typing import Any

from adaptery.client import Hub, Job
from adaptery_widgets._kernel_host import ViewWidget
from adaptery_widgets._named import job_id


class Watch(ViewWidget):
    """The Watch view in a notebook: `Watch(job)` on the last line of a cell shows it.

    Args:
        job: a job, its id, or the name of the newest one that is called so.
        hub: a connection; that of the job, or the one that this server knows, if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    view = "watch"

    def __init__(self, job: Job | str, hub: Hub | None = None) -> None:
        super().__init__(hub, job)
        self._job = job

    def start(self) -> dict[str, Any]:
        """See `ViewWidget.start`."""
        return {"job": job_id(self.hub, self._job)}

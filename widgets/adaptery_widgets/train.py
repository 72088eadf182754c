"""The Train widget: choose what a job shall learn, and hand it in."""

from __future__ import annotations

from typing import Any

from adaptery.client import Dataset, Hub, Job, Version
from adaptery_widgets._kernel_host import ViewWidget
from adaptery_widgets._named import job_id, version_id


class Train(ViewWidget):
    """The Train view in a notebook: `Train("@demo/visits@1")` on the last line of a cell shows it.

    Args:
        version: a version to train on, its name or its id; the newest one where a dataset is named.
        job: a job whose settings are copied into the form.
        hub: a connection; that of the version or job, or the one that this server knows, if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    view = "train"

    def __init__(
        self,
        version: Version | Dataset | str | None = None,
        job: Job | str | None = None,
        hub: Hub | None = None,
    ) -> None:
        super().__init__(hub, version, job)
        self._version = version
        self._job = job

    def start(self) -> dict[str, Any]:
        """See `ViewWidget.start`."""
        shown: dict[str, Any] = {}
        if self._version is not None:
            shown["version"] = version_id(self.hub, self._version)
        if self._job is not None:
            shown["job"] = job_id(self.hub, self._job)
        return shown

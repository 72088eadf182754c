"""The Keys widget: own keys, for programs outside the Hub."""

from __future__ import annotations

from typing import Any

from adaptery.client import Hub, Job
from adaptery.schemas.adapters import Adapter
from adaptery_widgets._kernel_host import ViewWidget
from adaptery_widgets._named import model_name


class Keys(ViewWidget):
    """The Keys view in a notebook: `Keys()` on the last line of a cell shows it.

    A new secret travels from the kernel to the view in a message and is shown once; it is in no
    trait, and so in no saved notebook.

    Args:
        adapter: the adapter that is to be used from outside, for example `@demo/soap`, or the job
            that made it; all keys if None.
        hub: a connection; that of the job, or the one that this server knows, if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    view = "keys"

    def __init__(self, adapter: Adapter | Job | str | None = None, hub: Hub | None = None) -> None:
        super().__init__(hub, adapter)
        self._adapter = adapter

    def start(self) -> dict[str, Any]:
        """See `ViewWidget.start`."""
        return {} if self._adapter is None else {"adapter": model_name(self._adapter)}

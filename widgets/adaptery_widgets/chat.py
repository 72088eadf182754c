"""The Chat widget: talk to an adapter, or to an adapter and its base side by side."""

from __future__ import annotations

from typing import Any

from adaptery.client import Hub, Job
from adaptery.schemas.adapters import Adapter
from adaptery_widgets._kernel_host import ViewWidget
from adaptery_widgets._named import model_name


class Chat(ViewWidget):
    """The Chat view in a notebook: `Chat()` on the last line of a cell shows it.

    Args:
        model: the model that is chosen at first, for example `@demo/soap`, or the job that made it;
            if None, your newest adapter, else the default base model.
        hub: a connection; that of the job, or the one that this server knows, if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    view = "chat"

    def __init__(self, model: Adapter | Job | str | None = None, hub: Hub | None = None) -> None:
        super().__init__(hub, model)
        self._model = model

    def start(self) -> dict[str, Any]:
        """See `ViewWidget.start`."""
        return {} if self._model is None else {"model": model_name(self._model)}

"""The Curate widget: look through a dataset's draft, mend it, publish it."""

from __future__ import annotations

from typing import Any

from adaptery.client import Dataset, Hub
from adaptery_widgets._kernel_host import ViewWidget
from adaptery_widgets._named import dataset_id


class Curate(ViewWidget):
    """The Curate view in a notebook: `Curate("visits")` on the last line of a cell shows it.

    Args:
        dataset: a dataset, its name or its id; all of them to choose from if None.
        hub: a connection; that of the dataset, or the one that this server knows, if None.

    Raises:
        InvalidInputError: no Adaptery service is known here; the message says what to set.
        UnavailableError: the views were not built.
    """

    view = "curate"

    def __init__(self, dataset: Dataset | str | None = None, hub: Hub | None = None) -> None:
        super().__init__(hub, dataset)
        self._dataset = dataset

    def start(self) -> dict[str, Any]:
        """See `ViewWidget.start`."""
        return {} if self._dataset is None else {"dataset": dataset_id(self.hub, self._dataset)}

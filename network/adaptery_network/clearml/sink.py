"""Shows ClearML's users how training goes: numbers by step, and the summary at the end.

Numbers only: words of a log or an error stay with Adaptery.
"""

from __future__ import annotations

from typing import Protocol

from adaptery.schemas.events import ErrorEvent, MetricsEvent, SummaryEvent, WorkerEvent

#: Titles of charts; what is not here is shown under `train`.
_TITLES = {"eval_loss": "eval"}
_NO_NUMBERS = frozenset({"kind", "seq", "at", "step", "evaluation"})


class Charts(Protocol):
    """ClearML's `Logger`, as far as it is used."""

    def report_scalar(self, title: str, series: str, value: float, iteration: int) -> None:
        """Add a point."""
        ...

    def report_single_value(self, name: str, value: float) -> None:
        """Set a number of the whole task."""
        ...


class ClearmlSink:
    """Hears the events of one attempt."""

    def __init__(self, charts: Charts) -> None:
        self._charts = charts
        #: Whether the last thing heard was an error.
        self.failed = False

    def __call__(self, event: WorkerEvent) -> None:
        """Show an event."""
        match event:
            case MetricsEvent():
                for name, value in _numbers(event).items():
                    title = _TITLES.get(name, "train")
                    self._charts.report_scalar(title, name, value, event.step)
            case SummaryEvent():
                for name, value in _numbers(event).items():
                    self._charts.report_single_value(name, value)
            case ErrorEvent():
                self.failed = True
            case _:
                pass


def _numbers(event: WorkerEvent) -> dict[str, float]:
    said = event.model_dump(exclude_none=True, exclude=set(_NO_NUMBERS))
    return {name: float(value) for name, value in said.items()}

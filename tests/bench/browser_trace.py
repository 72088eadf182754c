"""What a browser's main thread did, read out of Chromium's own trace.

The page sets marks with `performance.mark`; a window lies between two of them. Times are
milliseconds of the main thread of the page that set the marks.

Source: the Trace Event Format; `RunTask` and the script events are those that the performance panel
of Chromium's developer tools adds up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

CATEGORIES = [
    "blink.user_timing",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "loading",
    "toplevel",
]
TASKS = frozenset({"RunTask", "ThreadControllerImpl::RunTask"})
SCRIPT = frozenset(
    {
        "EvaluateScript",
        "EventDispatch",
        "FireAnimationFrame",
        "FunctionCall",
        "RunMicrotasks",
        "TimerFire",
        "v8.compileModule",
        "v8.evaluateModule",
    }
)
PAINT = frozenset({"Commit", "Paint"})
_MS = 1000.0  # the trace counts microseconds


@dataclass(frozen=True)
class Window:
    """What happened between two marks."""

    wall_ms: float
    longest_task_ms: float
    #: The most that one task used a processor: what it would take with nothing else running.
    longest_task_cpu_ms: float
    script_ms: float


class Trace:
    """One recording; complete when `record` is left."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []

    def load(self, data: bytes) -> None:
        """Take the events of a finished recording."""
        self._events = json.loads(data)["traceEvents"]

    def painted_after(self, mark: str) -> float:
        """Return how long after a mark the next paint ended, in milliseconds.

        Raises:
            LookupError: the mark was not set, or nothing was painted after it.
        """
        first = self._mark(mark)
        thread = (first["pid"], first["tid"])
        ends = [end for _, end in self._spans(PAINT, thread, first["ts"], math.inf)]
        if not ends:
            raise LookupError(f"nothing was painted after {mark}")
        return (min(ends) - first["ts"]) / _MS

    def window(self, begin: str, end: str) -> Window:
        """Return what the main thread did between two marks."""
        first, last = self._mark(begin), self._mark(end)
        thread = (first["pid"], first["tid"])
        tasks = self._spans(TASKS, thread, first["ts"], last["ts"])
        script = self._spans(SCRIPT, thread, first["ts"], last["ts"])
        longest = max((stop - start for start, stop in tasks), default=0.0)
        found = self._within(TASKS, thread, first["ts"], last["ts"])
        busiest = max((event.get("tdur", event["dur"]) for event in found), default=0.0)
        return Window(
            wall_ms=(last["ts"] - first["ts"]) / _MS,
            longest_task_ms=longest / _MS,
            longest_task_cpu_ms=busiest / _MS,
            script_ms=_union(script) / _MS,
        )

    def _mark(self, name: str) -> dict[str, Any]:
        for event in self._events:
            if event["name"] == name and "blink.user_timing" in event["cat"]:
                return event
        raise LookupError(f"the page did not set the mark {name}")

    def _spans(
        self, names: frozenset[str], thread: tuple[int, int], begin: float, end: float
    ) -> list[tuple[float, float]]:
        return [
            (max(event["ts"], begin), min(event["ts"] + event["dur"], end))
            for event in self._within(names, thread, begin, end)
        ]

    def _within(
        self, names: frozenset[str], thread: tuple[int, int], begin: float, end: float
    ) -> list[dict[str, Any]]:
        return [
            event
            for event in self._events
            if event["name"] in names
            and event.get("ph") == "X"
            and (event["pid"], event["tid"]) == thread
            and event["ts"] < end
            and event["ts"] + event["dur"] > begin
        ]


@contextmanager
def record(browser: Browser, page: Page) -> Generator[Trace]:
    """Record a trace of everything in the `with` block."""
    trace = Trace()
    browser.start_tracing(page=page, categories=CATEGORIES)
    try:
        yield trace
    finally:
        trace.load(browser.stop_tracing())


def _union(spans: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, reached))
        reached = max(reached, stop)
    return total

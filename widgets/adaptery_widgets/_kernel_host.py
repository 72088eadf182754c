"""The kernel side of the view contract: answers what a view asks, over widget messages.

A view sends `{"id", "kind": "ask", "verb", "args"}` and may send `{"id", "kind": "cancel"}`; it
gets `{"id", "kind": "event", "value"}` for each value, then `end` or `error`. Every view of a
widget, in every window, hears every reply: the view that asks makes an id that is unique among
all. Each ask runs in a thread of its own, so that a long answer does not hold up the notebook.

Invariants:
1. Nothing that travels is a trait: saved widget state holds no content.
2. An error reply carries the words of an `AdapteryError`, or none at all.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import anywidget

from adaptery.errors import AdapteryError, UnavailableError

logger = logging.getLogger("adaptery.widgets")

#: Answers one verb: takes the view's arguments, yields what the view gets.
Verb = Callable[[Mapping[str, Any]], Iterator[Any]]


def view_module(name: str) -> Path:
    """Return the built ES module of a view.

    Raises:
        UnavailableError: the views were not built (an install from source without `make views`).
    """
    path = Path(str(files("adaptery") / "views" / f"{name}.js"))
    if not path.exists():
        raise UnavailableError(
            f"The view {name!r} is not built.", hint="Run `make views` in the source folder."
        )
    return path


class ViewWidget(anywidget.AnyWidget):
    """Shows one view and answers it by `verbs`."""

    def __init__(self, view: str, verbs: Mapping[str, Verb]) -> None:
        super().__init__(_esm=view_module(view).read_text(encoding="utf-8"))
        self._verbs = dict(verbs)
        self._cancelled: dict[str, threading.Event] = {}
        self.on_msg(self._receive)

    def _receive(self, _widget: object, content: Any, _buffers: object) -> None:
        ask, kind = str(content["id"]), content["kind"]
        if kind == "cancel":
            if ask in self._cancelled:
                self._cancelled[ask].set()
            return
        cancelled = self._cancelled[ask] = threading.Event()
        arguments = (ask, str(content["verb"]), content.get("args") or {}, cancelled)
        threading.Thread(target=self._answer, args=arguments, daemon=True).start()

    def _answer(
        self, ask: str, verb: str, args: Mapping[str, Any], cancelled: threading.Event
    ) -> None:
        try:
            with contextlib.closing(self._run(verb, args)) as values:
                for value in values:
                    if cancelled.is_set():
                        return
                    self.send({"id": ask, "kind": "event", "value": value})
            self.send({"id": ask, "kind": "end"})
        except AdapteryError as error:
            self._fail(ask, error.code, error.message, error.hint)
        except Exception as error:
            # Only the type: an exception's text may hold what was asked.
            logger.error("a view's question failed: %s", type(error).__name__)
            self._fail(ask, "internal", "Something went wrong in the kernel; see its log.", None)
        finally:
            self._cancelled.pop(ask, None)

    def _run(self, verb: str, args: Mapping[str, Any]) -> Generator[Any]:
        if verb not in self._verbs:
            raise UnavailableError(f"This widget does not answer {verb!r}.")
        yield from self._verbs[verb](args)

    def _fail(self, ask: str, code: str, message: str, hint: str | None) -> None:
        value = {"code": code, "message": message, "hint": hint}
        self.send({"id": ask, "kind": "error", "value": value})

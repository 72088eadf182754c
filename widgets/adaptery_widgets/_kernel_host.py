"""The kernel side of the view contract: answers what a view asks, over widget messages.

A view sends `{"id", "kind": "ask", "verb", "args"}` and may send `{"id", "kind": "cancel"}`; it
gets `{"id", "kind": "event", "value"}` for each value, then `end` or `error`. Every view of a
widget, in every window, hears every reply: the view that asks makes an id that is unique among
all. Each ask runs in a thread of its own, so that a long answer does not hold up the notebook.

Two verbs are answered here, `view.start` (what to show at first) and `view.module` (the source of
another view, which a cell opens in the place of this one); the client answers all others.

Invariants:
1. Nothing that travels is a trait: saved widget state holds no content.
2. An error reply carries the words of an `AdapteryError`, or none at all.
3. A message that is not in this form changes nothing, and its text is not logged.
4. A cancelled stream ends its request at once, and no more is said about it.
5. At most `RUNNING_LIMIT` threads run for one widget.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import anywidget

from adaptery.client import Hub, connect
from adaptery.client.stopping import Stop
from adaptery.client.verbs import verb_table
from adaptery.errors import AdapteryError, InternalError, NotOfferedError, UnavailableError

logger = logging.getLogger("adaptery.widgets")

#: The views that a cell may open.
VIEWS = ("panel", "curate", "train", "jobs", "watch", "chat", "keys")
#: Asks that one widget answers at a time; a view needs three or four.
RUNNING_LIMIT = 32
#: Characters of an id; views make some thirty.
ID_LIMIT = 100


def view_module(name: str) -> Path:
    """Return the built ES module of a view.

    Raises:
        NotOfferedError: there is no such view.
        UnavailableError: the views were not built (an install from source without `make views`).
    """
    if name not in VIEWS:
        raise NotOfferedError("There is no view of this name.")
    path = Path(str(files("adaptery") / "views" / f"{name}.js"))
    if not path.exists():
        raise UnavailableError(
            f"The view {name!r} is not built.", hint="Run `make views` in the source folder."
        )
    return path


@dataclass(frozen=True)
class Ask:
    """One question of a view, and the way to end its answer."""

    id: str
    verb: str
    args: Mapping[str, Any]
    stop: Stop = field(default_factory=Stop)

    @classmethod
    def read(cls, message: object) -> Ask | None:
        """Return the question in a message; None if it is not one."""
        match message:
            case {"kind": "ask", "id": str(ask), "verb": str(verb), **rest} if len(ask) < ID_LIMIT:
                args = rest.get("args") or {}
                return cls(ask, verb, args) if isinstance(args, dict) else None
        return None

    @property
    def streamed(self) -> bool:
        """Whether the answer may go on for as long as somebody listens."""
        return verb_table().get(self.verb, "").startswith("STREAM")


class ViewWidget(anywidget.AnyWidget):
    """Shows one view and answers it over the client's connection.

    Args:
        hub: a connection; that of the first of `things` which has one, or the one that this server
            knows, if None.
        things: what the caller named: objects of the client, names or ids.
    """

    view: ClassVar[str]

    def __init__(self, hub: Hub | None, *things: object) -> None:
        self._running: dict[str, Ask] = {}
        self._sending = threading.Lock()
        self.hub = hub or _hub_of(things) or connect()
        super().__init__(_esm=view_module(self.view).read_text(encoding="utf-8"))
        self.on_msg(self._receive)

    def start(self) -> Mapping[str, Any]:
        """Return what the view shows at first; it is asked for when the view is on the page.

        Raises:
            AdapteryError: what was named does not exist, or cannot be looked up now.
        """
        return {}

    def close(self) -> None:
        """End what is being answered, and the widget."""
        # A widget whose constructor failed is closed too.
        for ask in list(self.__dict__.get("_running", {}).values()):
            ask.stop.set()
        super().close()

    def _receive(self, _widget: object, content: Any, _buffers: object) -> None:
        match content:
            case {"kind": "cancel", "id": str(name)}:
                if running := self._running.get(name):
                    running.stop.set()
            case _ if (ask := Ask.read(content)) and ask.id not in self._running:
                self._begin(ask)
            case _:
                kind = type(content).__name__
                logger.warning("a message of a view was not understood: %s", kind)

    def _begin(self, ask: Ask) -> None:
        if len(self._running) >= RUNNING_LIMIT:
            self._make_room()
            self._fail(ask, UnavailableError("This widget is busy with too many questions."))
            return
        self._running[ask.id] = ask
        threading.Thread(target=self._answer, args=(ask,), daemon=True).start()

    def _make_room(self) -> None:
        """End the oldest stream: its page may be gone, and one that is there asks again."""
        oldest = next((ask for ask in list(self._running.values()) if ask.streamed), None)
        if oldest is not None and not oldest.stop.is_set():
            self._fail(oldest, UnavailableError("The kernel made room for newer questions."))
            oldest.stop.set()

    def _answer(self, ask: Ask) -> None:
        try:
            with contextlib.closing(self._values(ask)) as values:
                for value in values:
                    self._tell(ask, "event", value)
                    if ask.stop.is_set():
                        return
            self._tell(ask, "end")
        except AdapteryError as error:
            self._fail(ask, error)
        except Exception as error:
            # Only the type: an exception's text may hold what was asked.
            logger.error("a view's question failed: %s", type(error).__name__)
            self._fail(ask, InternalError("Something went wrong in the kernel; see its log."))
        finally:
            self._running.pop(ask.id, None)

    def _values(self, ask: Ask) -> Generator[Any]:
        if ask.verb == "view.start":
            yield dict(self.start())
        elif ask.verb == "view.module":
            yield view_module(str(ask.args.get("view"))).read_text(encoding="utf-8")
        else:
            yield from self.hub.verbs.answer(ask.verb, ask.args, ask.stop)

    def _fail(self, ask: Ask, error: AdapteryError) -> None:
        problems = [problem.to_dict() for problem in error.errors]
        value = {"code": error.code, "message": error.message, "hint": error.hint}
        self._tell(ask, "error", {**value, "errors": problems})

    def _tell(self, ask: Ask, kind: str, value: Any = None) -> None:
        if ask.stop.is_set():
            return
        said = {"id": ask.id, "kind": kind}
        with self._sending:
            self.send(said if kind == "end" else {**said, "value": value})


def _hub_of(things: tuple[object, ...]) -> Hub | None:
    found = (getattr(thing, "connection", None) for thing in things)
    return next((Hub(connection) for connection in found if connection is not None), None)

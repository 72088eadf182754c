"""How far something is: a bar below the cell, or on a line of the terminal.

What always holds:
- Unless asked for, a bar is shown only in a notebook.
- In a terminal it goes to stderr, on one line that never wraps, and is taken away while anybody
  else may write. Where stderr is no terminal, only the end is written.
- It is drawn a few times a second at most.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from html import escape
from typing import Protocol, TextIO, TypeVar

from adaptery.client.notebook import Display, kernel_shell
from adaptery.client.words import printable, size_of, time_left
from adaptery.schemas.jobs import JobEvent
from adaptery.states import FINAL_STATES

__all__ = ["ProgressBar", "Report", "followed", "shown", "wanted"]

#: Told what is done and the total, where that is known.
Report = Callable[[int, int | None], None]
F = TypeVar("F", bound=Callable[[int, int], None])

DRAW_SECONDS = 0.2  # between two drawings
BAR_CHARACTERS = 12
#: A guess about the end needs something to go by.
GUESS_SECONDS = 3.0


class Screen(Protocol):
    """Where a bar is drawn."""

    def draw(self, line: str, part: float | None) -> None:
        """Draw the bar with what is done of one; `part` is None while that is not known."""
        ...

    def hide(self) -> bool:
        """Take the bar away for a while; say whether it has to be drawn again."""
        ...

    def end(self, line: str, part: float | None) -> None:
        """Draw it for the last time."""
        ...


class CellScreen:
    """An output below the cell."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def draw(self, line: str, part: float | None) -> None:
        """See `Screen`."""
        value = "" if part is None else f' value="{part:.3f}"'
        self._show(line, f'<progress max="1"{value} aria-label="{escape(line)}"></progress> ')

    def hide(self) -> bool:
        """See `Screen`; outputs do not get in each other's way."""
        return False

    def end(self, line: str, part: float | None) -> None:
        """See `Screen`; a bar without a value would go on moving."""
        self._show(line, "") if part is None else self.draw(line, part)

    def _show(self, line: str, bar: str) -> None:
        html = f'<div class="mathjax_ignore">{bar}{escape(line)}</div>'
        self._display.show({"text/plain": printable(line), "text/html": html})


class TerminalScreen:
    """The line of a terminal that the cursor is in."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = False

    def draw(self, line: str, part: float | None) -> None:
        """See `Screen`."""
        if not self._stream.isatty():
            return
        self._write(f"\r{self._fitted(line, part)}\x1b[K")
        self._drawn = True

    def hide(self) -> bool:
        """See `Screen`."""
        was_drawn, self._drawn = self._drawn, False
        if was_drawn:
            self._write("\r\x1b[K")
        return was_drawn

    def end(self, line: str, part: float | None) -> None:
        """See `Screen`."""
        self.draw(line, part)
        self._write("\n" if self._drawn else f"{printable(line)}\n")
        self._drawn = False

    def _fitted(self, line: str, part: float | None) -> str:
        done = round((part or 0.0) * BAR_CHARACTERS)
        bar = f"[{'#' * done}{'-' * (BAR_CHARACTERS - done)}] {printable(line)}"
        return bar[: shutil.get_terminal_size().columns - 1]

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class ProgressBar:
    """Says how far one thing is.

    Args:
        title: what is under way.
        unit: of what is counted; "bytes" are written as sizes.
        screen: where to draw.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        title: str,
        unit: str = "",
        screen: Screen | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._unit, self._clock = " ".join(title.split()), unit, clock
        self._screen = screen or _screen()
        self._done, self._total, self._words = 0, None, ""
        #: When there was something done for the first time, and when last: moment and number.
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)
        self._completed = False
        self._drawn_at = float("-inf")

    def report(
        self, done: int, total: int | None, words: str = "", at: float | None = None
    ) -> None:
        """Take note of how far it is, and draw it if that was not just done.

        Args:
            done: how much is done.
            total: how much there is to do, if that is known.
            words: what else there is to say.
            at: when this was so, in seconds; now if absent.
        """
        self._done, self._total, self._words = done, total, words
        self._last = (self._clock() if at is None else at, done)
        if self._first is None and done > 0:
            self._first = self._last
        if self._clock() - self._drawn_at >= DRAW_SECONDS:
            self.draw()

    def draw(self) -> None:
        """Draw it now."""
        self._drawn_at = self._clock()
        self._screen.draw(self._line(), self._part())

    @contextmanager
    def away(self) -> Generator[None]:
        """Take it away while others write."""
        hidden = self._screen.hide()
        yield
        if hidden:
            self.draw()

    def end(self, completed: bool = False) -> None:
        """Leave it as it is, or as completed."""
        if completed:
            self._completed, self._done = True, self._total or self._done
        self._screen.end(self._line(), self._part())

    def _part(self) -> float | None:
        if self._completed:
            return 1.0
        return min(1.0, self._done / self._total) if self._total else None

    def _line(self) -> str:
        part = self._part()
        percent = "" if part is None else f"{part:.0%}"
        words = [self._amount(), percent, self._words, self._left()]
        return f"{self._title}: {' · '.join(word for word in words if word)}".removesuffix(": ")

    def _amount(self) -> str:
        if not self._total:
            return ""
        if self._unit == "bytes":
            return f"{size_of(self._done)} of {size_of(self._total)}"
        return f"{self._done:,} of {self._total:,} {self._unit}".rstrip()

    def _left(self) -> str:
        if self._first is None or self._total is None or self._done >= self._total:
            return ""
        seconds, done = self._last[0] - self._first[0], self._last[1] - self._first[1]
        if done <= 0 or seconds < GUESS_SECONDS:
            return ""
        return time_left(seconds / done * (self._total - self._done))


def _screen() -> Screen:
    shell = kernel_shell()
    return TerminalScreen(sys.stderr) if shell is None else CellScreen(Display(shell))


def wanted(progress: object) -> bool:
    """Say whether to show a bar: as told, or in notebooks if nothing was said."""
    return progress is True or (progress is None and kernel_shell() is not None)


@contextmanager
def shown(title: str, progress: bool | F | None, unit: str) -> Generator[F | Report | None]:
    """Give whom to report to: the caller's own function, a bar, or nobody.

    Args:
        title: what is under way.
        progress: a function, whether to show a bar, or None: a bar in notebooks.
        unit: of what is counted.
    """
    if not wanted(progress):
        yield None if isinstance(progress, bool) else progress
        return
    bar = ProgressBar(title, unit)
    try:
        yield bar.report
    except BaseException:
        bar.end()
        raise
    bar.end(completed=True)


def followed(events: Generator[JobEvent], bar: ProgressBar) -> Generator[JobEvent]:
    """Yield the events of a job, and show between them how far it is."""
    heard = _JobStanding()
    with closing(events):
        try:
            for event in events:
                heard.hear(event)
                bar.report(heard.step, heard.total, heard.words(), event.at.timestamp())
                with bar.away():
                    yield event
        finally:
            bar.end()


class _JobStanding:
    """What the events of a job say about how far it is."""

    def __init__(self) -> None:
        self.step: int = 0
        self.total: int | None = None
        self._state = ""
        self._loss: float | None = None

    def hear(self, event: JobEvent) -> None:
        match event.kind, event.data:
            case "state", {"state": str(state)}:
                self._state = state
            case "phase", {"total_steps": int(total)}:
                self.total = total
            case "metrics", {"step": int(step), **rest}:
                self.step = step
                loss = rest.get("loss")
                self._loss = float(loss) if isinstance(loss, int | float) else self._loss
            case _:
                pass

    def words(self) -> str:
        if self._loss is None:
            return self._state
        loss = f"loss {self._loss:.3f}"
        return f"{loss} · {self._state}" if self._state in FINAL_STATES else loss

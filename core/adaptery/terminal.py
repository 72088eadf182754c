"""What commands write to a terminal, and what they ask there.

What always holds:
- Text from a service or a file is written without what a terminal would obey, and without marks
  that turn the direction of writing.
- Nobody is asked where nobody can answer.
- Colour never says anything alone, and is used only where a terminal is read.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Literal

__all__ = [
    "can_answer",
    "coloured",
    "confirmed",
    "in_colour",
    "printable",
    "say",
    "say_json",
    "watched",
    "write",
]

Colour = Literal["red", "green"]

_CODES = {"red": "31", "green": "32"}


def printable(text: str) -> str:
    """Return the text without what a terminal would obey, such as in the name of a file."""
    return "".join(mark if mark.isprintable() or mark in "\n\t" else "?" for mark in text)


def say(text: str) -> None:
    """Write a line, or several, to standard output."""
    sys.stdout.write(f"{printable(text)}\n")


def write(text: str) -> None:
    """Write text that is printable already, or coloured, as it is."""
    sys.stdout.write(text)


def say_json(value: object) -> None:
    """Write one JSON value to standard output, in ASCII: a terminal obeys nothing in it."""
    sys.stdout.write(f"{json.dumps(value, indent=2)}\n")


def watched() -> bool:
    """Tell whether somebody sees a progress bar: standard error is a terminal."""
    return sys.stderr.isatty()


def can_answer() -> bool:
    """Tell whether somebody can be asked: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirmed(question: str) -> bool:
    """Ask for a yes; anything else is a no."""
    sys.stdout.write(f"{printable(question)} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def in_colour() -> bool:
    """Tell whether colours are shown and wanted.

    Source: no-color.org; TERM=dumb is a terminal that knows none.
    """
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def coloured(text: str, colour: Colour) -> str:
    """Return the text, printable, in a colour; what is inside cannot end or change it."""
    return f"\x1b[{_CODES[colour]}m{printable(text)}\x1b[0m"

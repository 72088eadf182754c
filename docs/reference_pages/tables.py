"""Markdown for pages that are made from the code: a whole page, tables, cells.

What always holds: the output depends on the arguments alone, never on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

NOTICE = "<!-- Made by `python docs/generate_reference.py`; change the code, not this page. -->"
_UNITS = (("GiB", 1024**3), ("MiB", 1024**2))


@dataclass(frozen=True)
class Row:
    """One thing of a page: what it is called, the cells in between, what it means."""

    name: str
    cells: tuple[str, ...]
    text: str


def page(title: str, *parts: str) -> str:
    """Return a whole page; empty parts are left out."""
    return "\n\n".join([f"# {title}", NOTICE, *(part for part in parts if part)]) + "\n"


def table(heads: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a Markdown table without the columns that are empty in every row."""
    cells = [(code(row.name), *row.cells, row.text) for row in rows]
    kept = [i for i in range(len(heads)) if any(line[i] for line in cells)]
    lines = [f"| {' | '.join(heads[i] for i in kept)} |", f"|{'---|' * len(kept)}"]
    lines += [f"| {' | '.join(_cell(line[i]) for i in kept)} |" for line in cells]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def code(text: str) -> str:
    """Return the text as code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def plain(text: str) -> str:
    """Return text of the code as one line, fit for Markdown: `<x>` would be taken for HTML."""
    text = " ".join(text.split()).replace("``", "`")
    return re.sub(r"(?<![`\w/])(<\w+>)(?![`/])", r"`\1`", text)


def sentence(text: str) -> str:
    """Return the text with an upper-case start and a full stop."""
    text = plain(text)
    return text if not text else text[0].upper() + text[1:].rstrip(".") + "."


def amount(name: str, value: object) -> str:
    """Return a default as code, with its unit where bytes are round."""
    if name.endswith("_bytes") and isinstance(value, int):
        for unit, size in _UNITS:
            if value and value % size == 0:
                return f"{code(str(value))} ({value // size} {unit})"
    return code(repr(value))

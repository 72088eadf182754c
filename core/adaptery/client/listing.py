"""Tables and cards of what the client returns, for notebooks.

What always holds: whatever comes from the service is text, escaped, and nothing is fetched to show
it. Colours, fonts and borders are the notebook's own, so that both its themes fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Generic, TypeVar

from adaptery.client.words import written

__all__ = ["Columns", "Listing", "card", "sheet"]

T = TypeVar("T")

#: Title of a column, and what stands in it.
Columns = Sequence[tuple[str, Callable[[T], object]]]

ROWS_LIMIT = 100


class Listing(list[T], Generic[T]):
    """A list that a notebook shows as a table.

    Args:
        items: what is in the list.
        noun: what one of them is called.
        columns: what is shown of each; the first one names it.
        empty: what to do when there are none.
    """

    def __init__(self, items: Iterable[T], noun: str, columns: Columns[T], empty: str = "") -> None:
        super().__init__(items)
        self._noun = noun
        self._columns = columns
        self._empty = empty

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>No {escape(self._noun)}s yet. {escape(self._empty)}</p>"
        caption = f"{len(self):,} {self._noun}{'' if len(self) == 1 else 's'}"
        if len(self) > ROWS_LIMIT:
            caption += f", the first {ROWS_LIMIT} of them"
        heads = "".join(f'<th scope="col"{_LEFT}>{escape(t)}</th>' for t, _ in self._columns)
        rows = "".join(map(self._row, self[:ROWS_LIMIT]))
        return _table(caption, f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>")

    def _row(self, item: T) -> str:
        values = [value(item) for _, value in self._columns]
        cells = "".join(map(_cell, values[1:]))
        return f'<tr><th scope="row"{_LEFT}>{_text(values[0])}</th>{cells}</tr>'


def card(title: str, facts: Sequence[tuple[str, object]]) -> str:
    """Return what there is to know of one thing, as HTML."""
    rows = "".join(_fact(name, [value]) for name, value in facts)
    return _table(title, f"<tbody>{rows}</tbody>")


def sheet(caption: str, rows: Sequence[Sequence[object]]) -> str:
    """Return things beside each other, as HTML: the first row names them, each other one a fact."""
    (_, *heads), *facts = rows
    names = "".join(f'<th scope="col"{_LEFT}>{_text(name)}</th>' for name in heads)
    body = "".join(_fact(name, values) for name, *values in facts)
    return _table(caption, f"<thead><tr><td></td>{names}</tr></thead><tbody>{body}</tbody>")


def _fact(name: object, values: Sequence[object]) -> str:
    cells = "".join(_cell(value, _LEFT) for value in values)
    return f'<tr><th scope="row"{_LEFT}>{_text(name)}</th>{cells}</tr>'


_LEFT = ' style="text-align: left"'
_RIGHT = ' style="text-align: right"'


def _table(caption: str, rows: str) -> str:
    # A dollar in a name is a dollar: the class keeps MathJax away.
    opening = '<table class="mathjax_ignore tex2jax_ignore">'
    return f"{opening}<caption{_LEFT}>{escape(caption)}</caption>{rows}</table>"


def _cell(value: object, align: str | None = None) -> str:
    number = isinstance(value, int) and not isinstance(value, bool)
    return f"<td{align or (_RIGHT if number else _LEFT)}>{_text(value)}</td>"


def _text(value: object) -> str:
    # <bdi>: letters that are written from right to left do not reach into the next cell.
    return f"<bdi>{escape(written(value))}</bdi>"

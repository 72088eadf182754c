"""`tutorial/first-adapter.md`: the notebook of the examples, cell by cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first-adapter.ipynb"
NOTE = "<!-- Made by `python docs/generate_reference.py` from examples/first-adapter.ipynb. -->"


def make() -> str:
    """Return the page: Markdown as it is, code as blocks."""
    title, *rest = _cells()
    heading, _, text = title.partition("\n\n")
    return "\n\n".join([heading, NOTE, text, *rest]) + "\n"


def undescribed() -> Iterator[str]:
    """Yield nothing: the notebook is all description."""
    yield from ()


def _cells() -> Iterator[str]:
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"

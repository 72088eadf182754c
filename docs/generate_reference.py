"""Writes the pages that are made from the code: those of docs/reference, and the tutorial.

Run as: `python docs/generate_reference.py`, or with `--check` to learn whether the committed pages
say what the code says now. Exit status 1: a page is stale, or something has no description.

Not here: `reference/formats.md`, which is written by hand, and any sentence about a single route,
option, error or command: those stand beside the code that they describe, and nowhere else.

Invariants:
- The output depends on the code alone: no path of this machine, no time, no width of a terminal.
- What has no description is named, never filled in here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from reference_pages import commands, configuration, errors, routes, tasks, tutorial

DOCS = Path(__file__).parent
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/routes.md": routes.make,
    "reference/configuration.md": configuration.make,
    "reference/errors.md": errors.make,
    "reference/commands.md": commands.make,
    "reference/tasks.md": tasks.make,
    "tutorial/first-adapter.md": tutorial.make,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or compare them; return the exit status."""
    parser = argparse.ArgumentParser(prog="generate_reference.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    check = bool(parser.parse_args(arguments).check)
    stale = [name for name, make in PAGES.items() if bring_up_to_date(name, make(), check=check)]
    problems = [f"docs/{name} is stale" for name in stale] if check else []
    for module in (routes, configuration, errors, commands, tasks, tutorial):
        problems += [f"no description: {name}" for name in module.undescribed()]
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


def bring_up_to_date(name: str, text: str, *, check: bool) -> bool:
    """Return whether the page differed; write it unless only that was asked."""
    path = DOCS / name
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    if not check:
        path.write_text(text, encoding="utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main())

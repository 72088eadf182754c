"""A plugin of pytest: which named statements were executed on PostgreSQL, by whichever test.

`-p support.executed` with ADAPTERY_EXECUTED, the file that gets their names.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType

import sqlalchemy as sa
from sqlalchemy import event

from adaptery_hub.database import statements

VARIABLE = "ADAPTERY_EXECUTED"
_FOLDER = str(Path(statements.__file__).parent)
_executed: set[str] = set()


def named_statements() -> set[str]:
    """Return the names of all functions that execute SQL for the rest of the service.

    Without those that only make a statement, as what they return says.
    """
    found: set[str] = set()
    for module in pkgutil.iter_modules(statements.__path__):
        members = vars(import_module(f"{statements.__name__}.{module.name}"))
        for name, function in members.items():
            if inspect.isfunction(function) and function.__module__.endswith(f".{module.name}"):
                signature = inspect.signature(function)
                executes = "Select" not in str(signature.return_annotation)
                first = next(iter(signature.parameters), "")
                if first == "connection" and executes and not name.startswith("_"):
                    found.add(f"{module.name}.{name}")
    return found


def _note(connection: sa.Connection, *_: object) -> None:
    if connection.dialect.name == "postgresql":
        _executed.update(_named(sys._getframe()))


def _named(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_FOLDER):
            yield f"{Path(code.co_filename).stem}.{code.co_name}"
        frame = frame.f_back


def pytest_configure() -> None:
    """See pytest's hooks."""
    event.listen(sa.Engine, "before_cursor_execute", _note)


def pytest_unconfigure() -> None:
    """See pytest's hooks."""
    Path(os.environ[VARIABLE]).write_text("\n".join(sorted(_executed)))

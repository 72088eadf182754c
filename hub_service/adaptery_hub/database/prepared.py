"""Statements that are built once and asked many times a second.

SQLAlchemy takes a tenth of a millisecond to run what SQLite answers in a hundredth. Here its SQL,
its types and its constants are taken from the statement once, and the driver is asked directly. On
a server, where the way there costs more than that, the statement is run as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

__all__ = ["Prepared", "Row"]

Row = Mapping[Any, Any]  # by the names of its columns
_Processor = Callable[[Any], Any]


@dataclass(frozen=True)
class _Plan:
    """A statement as the driver takes it."""

    text: str
    #: Of each parameter its name, if it is given, or else its value.
    parameters: Sequence[tuple[str | None, object]]
    #: Of each column its name, and what makes a value of what the driver returns.
    columns: Sequence[tuple[str, _Processor | None]]


class Prepared:
    """One statement; what is given to it is text or whole numbers."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._statement = statement
        self._plan: _Plan | None = None

    def first(self, connection: Connection, given: Mapping[str, str | int | None]) -> Row | None:
        """Return the first row, if there is one."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, given).mappings().first()
        plan = self._plan = self._plan or _plan_of(self._statement, connection.dialect)
        driver = connection.connection.driver_connection
        assert driver is not None
        values = [given[name] if name is not None else value for name, value in plan.parameters]
        found = driver.execute(plan.text, values).fetchone()
        if found is None:
            return None
        return {
            name: value if process is None else process(value)
            for (name, process), value in zip(plan.columns, found, strict=True)
        }


def _plan_of(statement: sa.Select[Any], dialect: Dialect) -> _Plan:
    compiled = statement.compile(dialect=dialect)
    names: Sequence[str] = getattr(compiled, "positiontup", None) or ()
    constants = compiled.params  # of what is given, nothing
    binds: Mapping[str, sa.BindParameter[Any]] = compiled.binds  # pyright: ignore[reportAttributeAccessIssue]
    parameters = [
        (name, None) if binds[name].required else (None, constants[name]) for name in names
    ]
    columns = [
        (column.key or column.name, _processor(column.type, dialect))
        for column in statement.selected_columns
    ]
    return _Plan(str(compiled), parameters, columns)


def _processor(type_: sa.types.TypeEngine[Any], dialect: Dialect) -> _Processor | None:
    return type_.dialect_impl(dialect).result_processor(dialect, None)

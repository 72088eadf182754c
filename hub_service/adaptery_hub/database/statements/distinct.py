"""The few different values that a column has in many rows.

`SELECT DISTINCT` reads all of the rows. Here the next value is looked for, again and again: each
costs one look into an index that begins with what `where` compares and goes on with the column.

Source: PostgreSQL wiki, "Loose indexscan".
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def each_value(column: sa.Column[Any], *where: sa.ColumnElement[bool], name: str) -> sa.CTE:
    """Return a table of the values of a column, in rows of which something holds.

    Its only column is `value`; one more row has null there.

    Args:
        column: of a table of ours.
        where: what holds for the rows.
        name: of the table that is made.
    """
    first = sa.select(sa.func.min(column).label("value")).where(*where)
    values = first.cte(name, recursive=True)
    following = sa.select(sa.func.min(column)).where(*where, column > values.c.value)
    return values.union_all(
        sa.select(following.correlate(values).scalar_subquery()).where(values.c.value.is_not(None))
    )

"""Places in a list: where a page goes on, behind the thing that ended the page before.

A place is a tuple of columns that ends with the id, so that no two things share one. It is looked
up again for each page: a thing that was changed meanwhile is where the change put it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, visible


def behind(
    connection: Connection,
    identity: Identity,
    table: sa.Table,
    thing_id: str,
    place: sa.Tuple,
    *,
    descending: bool = False,
) -> sa.ColumnElement[bool]:
    """Return the predicate "comes after this thing, in the order of `place`".

    Raises:
        InvalidInputError: there is no such thing that the caller may view.
    """
    statement = sa.select(*place).where(table.c.id == thing_id)
    row = connection.execute(statement.where(visible(table, identity, Right.VIEW))).first()
    if row is None:
        noun = table.name.removesuffix("s")
        raise InvalidInputError(
            errors=[FieldProblem("after", f"is no {noun} of yours.", f"Use the last {noun}'s id.")]
        )
    found = sa.tuple_(
        *(sa.literal(value, column.type) for value, column in zip(row, place, strict=True))
    )
    return place < found if descending else place > found

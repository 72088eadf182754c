"""How things are named in answers, as SQL."""

from __future__ import annotations

import sqlalchemy as sa

from adaptery_hub.database.tables import tenants


def full_name_holds(name: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """Return the predicate "owner and name hold this text, in whatever case"; it has no wildcards.

    Args:
        name: what stands behind the owner's prefix; the statement joins its tenant.
        text: what is looked for.
    """
    return (prefix_column() + "/" + name).icontains(text, autoescape=True)


def prefix_column() -> sa.ColumnElement[str]:
    """Return `@slug` for a user's or service's things and `slug` for a group's."""
    return sa.case((tenants.c.kind == "group", tenants.c.slug), else_="@" + tenants.c.slug)

"""How things are named in answers: the tenant's prefix, as SQL."""

from __future__ import annotations

import sqlalchemy as sa

from adaptery_hub.database.tables import tenants


def prefix_column() -> sa.ColumnElement[str]:
    """Return `@slug` for a user's or service's things and `slug` for a group's."""
    return sa.case((tenants.c.kind == "group", tenants.c.slug), else_="@" + tenants.c.slug)

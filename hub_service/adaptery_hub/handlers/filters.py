"""What narrows a list: `from` and `to`, which are days or moments, and ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.ids import is_id
from adaptery.times import from_text
from adaptery_hub.handlers.base import Handler

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

#: What the two parameters mean.
RANGE_QUERY: Mapping[str, str] = {
    "from": "The first day (`2026-01-31`, in UTC), or moment (RFC 3339).",
    "to": "The last day, or the moment before which it ends.",
}


def range_of(handler: Handler) -> tuple[datetime | None, datetime | None]:
    """Return where the range that is asked for begins, and before which moment it ends.

    Raises:
        InvalidInputError: One is no day and no moment.
    """
    return _moment(handler, "from", 0), _moment(handler, "to", 1)


def id_of(handler: Handler, name: str, prefix: str | None = None) -> str | None:
    """Return the id in a query parameter; None if it is absent.

    Raises:
        InvalidInputError: It is no id of this kind.
    """
    text = handler.query(name)
    if text is not None and not is_id(text, prefix):
        like = f"an id such as {prefix or 'ad'}_…"
        problem = FieldProblem(name, "is no such id.", f"Use {like}.")
        raise InvalidInputError(errors=[problem])
    return text


def _moment(handler: Handler, name: str, days_more: int) -> datetime | None:
    text = handler.query(name)
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return day + timedelta(days=days_more)
        return from_text(text)
    except (ValueError, OverflowError):
        remedy = "Write 2026-01-31, or 2026-01-31T12:00:00Z."
        problem = FieldProblem(name, "is no day and no moment.", remedy)
        raise InvalidInputError(errors=[problem]) from None

"""What the query of a request says: each parameter once, and none that its operation lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tornado.web import RequestHandler

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery_hub.routes import Operation

W = TypeVar("W", bound=str)

PAGE_LIMIT_DEFAULT = 50
PAGE_LIMIT_MAX = 200


class QueryReader(RequestHandler):
    """Reads the query of a request; `operation` says what may be in it."""

    operation: Operation

    def query(self, name: str, default: str | None = None) -> str | None:
        """Return one query parameter.

        Raises:
            InvalidInputError: it is given twice.
        """
        values = self.get_query_arguments(name)
        if len(values) > 1:
            raise InvalidInputError(errors=[FieldProblem(name, "is given twice.", "Give it once.")])
        return values[0] if values else default

    def one_of(self, name: str, allowed: Sequence[W]) -> W | None:
        """Return one query parameter that has to be one of some words; None if it is absent.

        Raises:
            InvalidInputError: it is another word, or given twice.
        """
        text = self.query(name)
        found = next((word for word in allowed if word == text), None)
        if text is not None and found is None:
            raise InvalidInputError(
                errors=[FieldProblem(name, "is not known.", f"Use {', '.join(allowed)}.")]
            )
        return found

    def check_query(self) -> None:
        """Refuse query parameters that the operation does not know.

        One that is written `name[]` in the route table comes once for each `name[key]`.

        Raises:
            InvalidInputError: there is one.
        """
        known = {*self.operation.query, "_xsrf", "token"}
        unknown = [
            name
            for name in self.request.query_arguments
            if name not in known and not ("[" in name and f"{name.partition('[')[0]}[]" in known)
        ]
        if unknown:
            allowed = ", ".join(self.operation.query) or "none"
            raise InvalidInputError(
                errors=[
                    FieldProblem("query", "has an unknown parameter.", f"Known here: {allowed}.")
                ]
            )

    def page(self, limit_max: int = PAGE_LIMIT_MAX) -> tuple[str | None, int]:
        """Return `after` and `limit` of a list request.

        Raises:
            InvalidInputError: the limit is not a number in range.
        """
        self.check_query()
        text = self.query("limit", str(PAGE_LIMIT_DEFAULT)) or ""
        limit = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if not 1 <= limit <= limit_max:
            raise InvalidInputError(
                errors=[FieldProblem("limit", "is out of range.", f"Use 1 to {limit_max}.")]
            )
        return self.query("after"), limit

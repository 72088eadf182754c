"""`reference/errors.md`: every error code, and why a job may fail."""

from __future__ import annotations

import json
from collections.abc import Iterator

from adaptery.errors import ERRORS_BY_CODE, AdapteryError, FieldProblem, RecordError
from adaptery_training import failures
from reference_pages.tables import Row, page, plain, table

TEXT = """\
Each error has a `code` that never changes. The Python client raises the class that the service
raised, so a notebook catches `NotFoundError` wherever it happened. The classes are in
`adaptery.errors`; catching one also catches those indented below it."""
TRAINING_TEXT = """\
A job that failed says why in its `reason`, with what mends it. These never come as an HTTP status:
the request that submitted the job was fine."""
#: What four spaces of a tree look like inside a table.
_INDENT = "&nbsp;" * 4


def make() -> str:
    """Return the page."""
    return page(
        "Errors",
        TEXT,
        table(
            ("Code", "Status", "Class", "What it says unless it can say more"),
            [_error_row(cls, depth) for cls, depth in _tree(AdapteryError, 0)],
        ),
        "## On the wire",
        _wire_examples(),
        "## Why a job failed",
        TRAINING_TEXT,
        table(("Code", "What happened", "What to do"), training_rows()),
    )


def undescribed() -> Iterator[str]:
    """Yield every error without a message of its own."""
    # A class does not inherit `__doc__`.
    yield from (f"error {code}" for code, cls in ERRORS_BY_CODE.items() if not cls.__doc__)
    yield from (f"error {row.name}" for row in training_rows() if not (row.cells[0] and row.text))


def _tree(cls: type[AdapteryError], depth: int) -> Iterator[tuple[type[AdapteryError], int]]:
    if ERRORS_BY_CODE.get(cls.code) is cls:
        yield cls, depth
        for child in sorted(cls.__subclasses__(), key=lambda each: (each.status, each.code)):
            yield from _tree(child, depth + 1)


def _error_row(cls: type[AdapteryError], depth: int) -> Row:
    status = "" if cls is AdapteryError else str(cls.status)
    return Row(cls.code, (status, f"{_INDENT * depth}`{cls.__name__}`"), plain(cls.__doc__ or ""))


def training_rows() -> list[Row]:
    """Return why a job may fail, and what mends it."""
    found = [
        cls
        for cls in vars(failures).values()
        if isinstance(cls, type) and issubclass(cls, failures.TrainingError)
    ]
    return [Row(cls.code, (plain(cls.__doc__ or ""),), cls.remedy) for cls in found]


def _wire_examples() -> str:
    where = FieldProblem("record 17, output", "is missing.", "Check the names of the columns.")
    error = RecordError("1 record is not valid; nothing was imported.", errors=[where])
    problem = json.dumps(error.to_problem("rq_01jd2m8x4q7v9r3t5w6y8z0abc"), indent=2)
    openai = json.dumps(error.to_openai(), indent=2)
    return (
        "Problem JSON (RFC 9457) with the media type `application/problem+json`. Quote the\n"
        "`request_id` to an administrator: it finds the lines of the log that belong to it.\n\n"
        f"```json\n{problem}\n```\n\n"
        "Below `v1/` the same error has OpenAI's shape, and the request id is in the header\n"
        f"`X-Request-Id`.\n\n```json\n{openai}\n```"
    )

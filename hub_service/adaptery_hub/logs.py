"""Structured logs: one JSON object a line, each with the request id it belongs to.

Invariants:

- No line holds a prompt, an output, a record, a token, a cookie, a query string or a path: requests
  are named by their route template, things by their id.
- An unexpected exception is logged as its type and its stack, never its text: exception texts quote
  values (of rows, of bodies, of headers).
- What a library logs is cut to where it was said, for the same reason.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from adaptery.times import to_text

#: The request that the running task serves; empty outside of requests.
request_id: ContextVar[str] = ContextVar("adaptery_request_id", default="")

#: Loggers whose messages are written by us and hold no content.
_OWN_PREFIX = "adaptery"
_QUIET_LIBRARIES = (
    "tornado.application",
    "tornado.general",
    "asyncio",
    "sqlalchemy",
    "alembic",
    "httpx",
)
#: Warnings of libraries that come with every request of an honest client. JupyterHub warns of each
#: request without Sec-Fetch-Mode, which no client but a browser sends.
_NOISE = frozenset({("_xsrf_utils", "_needs_check_xsrf")})
#: Stack entries kept of an unexpected exception, innermost last.
STACK_ENTRIES = 30

#: A value that may stand in a log line.
LogValue = str | int | float | bool | None

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def log(logger: logging.Logger, level: int, event: str, **fields: LogValue) -> None:
    """Write one event with its fields.

    Args:
        logger: the logger of the calling module.
        level: as in `logging`.
        event: what happened, in snake_case.
        fields: ids, names of states, sizes and times; never content.
    """
    if logger.isEnabledFor(level):
        # Not `logger.log`, which looks for the caller first: no line of ours names it.
        extra = {"fields": fields}
        logger.handle(logger.makeRecord(logger.name, level, "", 0, event, (), None, extra=extra))


def log_exception(logger: logging.Logger, event: str, error: BaseException) -> None:
    """Write an unexpected exception: its type and where it came from."""
    logger.error(event, exc_info=error, stacklevel=2)


class JsonFormatter(logging.Formatter):
    """Renders a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line: dict[str, object] = {
            "at": to_text(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
        }
        if current := request_id.get():
            line["request_id"] = current
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            line |= fields
        if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
            line |= _describe(record.exc_info)  # pyright: ignore[reportArgumentType]
        return json.dumps(line, ensure_ascii=False, default=repr)


def set_up_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every logger of the process through `JsonFormatter` to `stream` (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_is_worth_a_line)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # tornado's access log would print URLs; the app writes its own line for each request.
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return (record.module, record.funcName) not in _NOISE


def _event(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0].startswith(_OWN_PREFIX):
        return record.getMessage()
    return f"{record.module}.{record.funcName}:{record.lineno}"


def _describe(exc_info: _ExcInfo) -> dict[str, object]:
    _, error, tb = exc_info
    stack = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(tb)[-STACK_ENTRIES:]
    ]
    described: dict[str, object] = {"exception": type(error).__qualname__, "stack": stack}
    cause = error.__cause__ or error.__context__
    if cause is not None:
        described["cause"] = type(cause).__qualname__
    return described

"""Logs: JSON lines that hold ids and no content."""

import json
import logging
from io import StringIO

from adaptery_hub import logs


def lines_of(write) -> list[dict]:  # type: ignore[no-untyped-def]
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    own, other = logging.getLogger("adaptery_hub.test"), logging.getLogger("tornado.application")
    for logger in (own, other):
        logger.addHandler(handler)
        logger.propagate = False
    try:
        write(own, other)
    finally:
        for logger in (own, other):
            logger.removeHandler(handler)
            logger.propagate = True
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_fields_and_the_request_id_are_there() -> None:
    token = logs.request_id.set("rq_x")
    try:
        (line,) = lines_of(lambda own, _: logs.log(own, logging.ERROR, "done", records=3))
    finally:
        logs.request_id.reset(token)
    assert (line["event"], line["records"], line["request_id"]) == ("done", 3, "rq_x")
    assert line["at"].endswith("Z") and line["level"] == "error"


def test_an_exception_is_told_without_its_text() -> None:
    def write(own: logging.Logger, _: logging.Logger) -> None:
        try:
            try:
                raise ValueError("canary one")
            except ValueError as cause:
                raise RuntimeError("canary two") from cause
        except RuntimeError as error:
            logs.log_exception(own, "broken", error)

    (line,) = lines_of(write)
    assert (line["exception"], line["cause"]) == ("RuntimeError", "ValueError")
    assert line["stack"] and "canary" not in json.dumps(line)


def test_what_a_library_says_is_cut_to_where_it_said_it() -> None:
    (line,) = lines_of(lambda _, other: other.error("token %s is bad", "canary"))
    assert "canary" not in json.dumps(line) and "test_logs" in line["event"]

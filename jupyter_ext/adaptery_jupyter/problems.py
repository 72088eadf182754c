"""Errors of this extension in the shape of the service's own, so that a view says what to do."""

from __future__ import annotations

import json

from tornado.web import RequestHandler

from adaptery.errors import AdapteryError


def refuse(handler: RequestHandler, error: AdapteryError, status: int | None = None) -> None:
    """Answer with problem JSON; `status` where a server between has one of its own."""
    handler.set_status(status or error.status)
    handler.write(json.dumps(error.to_problem(None)))
    # Not the handler's own `finish`, which may set another content type.
    handler.set_header("Content-Type", "application/problem+json")
    RequestHandler.finish(handler)

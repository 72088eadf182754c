"""What is told of what ended a request."""

from __future__ import annotations

from tornado.web import HTTPError

from adaptery.errors import AdapteryError, UnavailableError, from_problem
from adaptery_hub.full_disk import unexpected

#: When the service is probably back that ends now.
RESTART_SECONDS = 3.0


def stopping() -> UnavailableError:
    """Return the error of requests that come, or still run, while the service ends."""
    return UnavailableError(
        "Adaptery is being restarted.",
        hint="Try again in a moment.",
        retry_after_seconds=RESTART_SECONDS,
    )


def as_told(error: BaseException | None, status: int = 500) -> AdapteryError:
    """Return an error as its caller is told of it; of a bug of ours, only that there was one."""
    if isinstance(error, AdapteryError):
        return error
    if isinstance(error, HTTPError) or (error is None and status < 500):
        return from_problem({"status": status})
    return unexpected(error)

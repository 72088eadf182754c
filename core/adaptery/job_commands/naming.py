"""Which job a command is about."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from adaptery.errors import NotFoundError
from adaptery.ids import is_id

if TYPE_CHECKING:
    from adaptery.client import Hub, Job

__all__ = ["add_job", "find_job"]


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a job."""
    parser.add_argument("job", metavar="JOB", help="its id, or its name: the newest one of it")


def find_job(hub: Hub, word: str) -> Job:
    """Return the job with this id, or the newest one of this name.

    Raises:
        NotFoundError: if there is none that the caller may see.
        AdapteryError: what the service raised.
    """
    if is_id(word, "jb"):
        return hub.jobs.get(word)
    found = next((job for job in hub.jobs.list(search=word) if job.info.name == word), None)
    if found is None:
        raise NotFoundError(
            f"There is no job called {word}.", hint="adaptery jobs list shows those that there are"
        )
    return found

"""Which job a command is about."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from adaptery.ids import is_id
from adaptery.terminal import printable

if TYPE_CHECKING:
    from adaptery.client import Hub, Job

__all__ = ["add_job", "find_job"]


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a job."""
    parser.add_argument("job", metavar="JOB", help="its id, or its name: the newest one of it")


def find_job(hub: Hub, word: str, *, with_adapter: bool = False) -> Job:
    """Return the job with this id, or the newest one of this name; say so if there are several.

    Args:
        hub: where to ask.
        word: an id, or a name.
        with_adapter: of several, the newest one that has made an adapter.

    Raises:
        NotFoundError: if there is none that the caller may see.
        AdapteryError: what the service raised.
    """
    if is_id(word, "jb"):
        return hub.jobs.get(word)
    found = hub.jobs.named(word)
    able = [job for job in found if job.info.adapter_id is not None] if with_adapter else found
    taken = (able or found)[0]
    if len(found) > 1:
        others = ", ".join(f"{job.id} ({job.state})" for job in found if job.id != taken.id)
        note = f"{word} is {taken.id} ({taken.state}); name others of it by id: {others}"
        sys.stderr.write(f"{printable(note)}\n")
    return taken

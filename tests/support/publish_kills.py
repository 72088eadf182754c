"""The service as a process of its own that kills itself, by signal 9, at a step of a publish.

Run as: python -m support.publish_kills STATE PORT_FILE [STEP]
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.files import write_atomic
from adaptery.manifests import Manifest
from adaptery.schemas.datasets import PublishRequest
from adaptery_hub.operations import May, Operations, Progress, Work
from adaptery_hub.publishing import Note, Publisher, PublishWork
from adaptery_hub.publishing.folders import Written
from adaptery_hub.publishing.headings import Heading
from support.service import running_service

TOKEN = "token-of-demo"
#: Before the named thing is done, but for the last: after the row is in the database.
STEPS = ("written", "signed", "stored", "inserted", "committed")


def die_at(step: str) -> None:
    """End this process at once if it is to end here."""
    if sys.argv[3:] == [step]:
        os.kill(os.getpid(), signal.SIGKILL)


class KilledPublisher(Publisher):
    """A publisher whose work ends the process."""

    def work(
        self, dataset: RowMapping, creator_id: str, wanted: PublishRequest, note: Note
    ) -> PublishWork:
        """See `Publisher.work`."""
        return KilledWork(self, dataset, creator_id, wanted, note)


class KilledWork(PublishWork):
    """One publish that ends the process at a step."""

    def write(self, progress: Progress, heading: Heading) -> Written:
        """See `PublishWork.write`."""
        die_at("written")
        return super().write(progress, heading)

    def sign(self, written: Written, number: int) -> Manifest:
        """See `PublishWork.sign`."""
        die_at("signed")
        return super().sign(written, number)

    def store(self, prefix: str) -> None:
        """See `PublishWork.store`."""
        die_at("stored")
        super().store(prefix)

    def commit(self, connection: Connection) -> Any:
        """See `PublishWork.commit`."""
        die_at("inserted")
        return super().commit(connection)


class KilledOperations(Operations):
    """Operations that end the process once their result is in the database."""

    async def _commit(self, operation_id: str, work: Work, may: May) -> None:
        await super()._commit(operation_id, work, may)
        if isinstance(work, KilledWork):  # an import is an operation, too
            die_at("committed")


async def main() -> None:
    """Run the service until it is killed."""
    state, port_file = Path(sys.argv[1]), Path(sys.argv[2])
    async with running_service(state) as service:
        service.services.publisher.__class__ = KilledPublisher
        service.services.operations.__class__ = KilledOperations
        service.client("demo", token=TOKEN)
        write_atomic(port_file, service.url.encode())
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

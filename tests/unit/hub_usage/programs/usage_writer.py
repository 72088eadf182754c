"""Accounts for requests as fast as it can, and says each one that is accounted for."""

import asyncio
import json
import sys
from pathlib import Path

from adaptery_hub.audit import AuditLog
from adaptery_hub.database import Database
from adaptery_hub.spool import Spool
from adaptery_hub.usage import UsageEntry, UsageLog


async def main(url: str, folder: str, tenant: str) -> None:
    """Run until killed."""
    log = UsageLog(Database(url), AuditLog("service"), spool=Spool(Path(folder)))
    number = 0
    while True:
        number += 1
        entry = UsageEntry(tenant, f"rq_{number}", "m", "b", None, (), "ag_1", 1, 1, 1, "completed")
        await log.add(entry)
        sys.stdout.write(json.dumps(entry.request_id) + "\n")
        sys.stdout.flush()
        if number % 10 == 0:
            await asyncio.sleep(0)


asyncio.run(main(*sys.argv[1:]))

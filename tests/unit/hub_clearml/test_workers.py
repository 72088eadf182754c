"""Workers of ClearML: a ticket begins its job and no other."""

from pathlib import Path

from adaptery.digests import sha256_bytes
from adaptery.ids import new_id
from adaptery.schemas.worker import TicketUse
from adaptery_hub.clearml.workers import WorkerDesk
from adaptery_hub.database.statements import attempts, clearml_tasks
from support.hub_tables import WEIGHTS, open_tables
from support.queue_ways import QUEUE, WORKER_KEY, session_desk
from support.queued_jobs import insert_queued


async def test_a_ticket_begins_its_job_whichever_is_next(tmp_path: Path) -> None:
    hub = open_tables(tmp_path)
    desk = WorkerDesk(
        hub.database, hub.queue, session_desk(hub, tmp_path), b"m" * 32, WORKER_KEY, hub.clock
    )
    for job in reversed(await insert_queued(hub, {"demo": 2, "guest": 1})):
        code = new_id("ct") * 2
        row = (new_id("ct"), job, QUEUE, sha256_bytes(code.encode()), hub.clock())
        await hub.database.write(lambda c, row=row: clearml_tasks.insert(c, *row))
        hold = await desk.begin(TicketUse(job=job, code=code, weight_digest=WEIGHTS))
        attempt = await hub.database.read(lambda c, id=hold.attempt: attempts.get(c, id))
        assert attempt is not None and attempt["job_id"] == job
    hub.database.close()

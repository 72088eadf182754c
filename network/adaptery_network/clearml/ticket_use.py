"""From the ticket of a ClearML task to the end of an attempt.

    ticket (signature) -> base model of this machine -> lease -> `agent.attempt`

Invariants:
- the spec is the one that the service signed, and no byte of it comes from elsewhere;
- a ticket is used only when this machine has the base model, so that another may take the job;
- the folder of the attempt is gone at the end, with its records.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from pathlib import Path

import httpx

from adaptery.base_models import read_base_model
from adaptery.errors import NotFoundError
from adaptery.schemas.spec import BaseModelRef
from adaptery.schemas.worker import TicketUse
from adaptery.sealed import Ticket, open_ticket
from adaptery.signing import VerifyKey
from adaptery_network.agent import worker
from adaptery_network.agent.adapter_cache import AdapterCache
from adaptery_network.agent.attempt import Attempt, AttemptTools
from adaptery_network.agent.folders import AgentFolders, AttemptRecord
from adaptery_network.clearml.http_line import ANSWER_SECONDS, HttpLine, use_ticket
from adaptery_network.clearml.settings import WorkerSettings
from adaptery_network.clearml.sink import ClearmlSink

_NO_CACHE_BYTES = 0


async def train(text: str, settings: WorkerSettings, sink: ClearmlSink) -> None:
    """Train the job of a ticket; SIGTERM ends it early, with what is saved.

    Raises:
        RefusedError: the service did not sign the ticket.
        NotFoundError: this machine lacks the base model.
        AdapteryError: the service does not lease the job.
    """
    ticket = open_ticket(text, VerifyKey.from_text(settings.service_key))
    base_model = find_base_model(ticket, settings)
    with tempfile.TemporaryDirectory(dir=settings.work_folder, prefix="adaptery-") as root:
        folders = AgentFolders(Path(root))
        folders.create()
        async with httpx.AsyncClient(
            base_url=settings.service_url, timeout=ANSWER_SECONDS, trust_env=True
        ) as client:
            attempt = await _begin(ticket, base_model, settings, folders, client, sink)
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, attempt.drain)
            try:
                await attempt.run()
            finally:
                loop.remove_signal_handler(signal.SIGTERM)


def find_base_model(ticket: Ticket, settings: WorkerSettings) -> Path:
    """Return the folder of the base model of a ticket.

    Raises:
        NotFoundError: there is none, or it has other weights.
    """
    wanted = BaseModelRef.model_validate(ticket.spec["base_model"])
    folder = settings.base_models.get(wanted.name)
    if folder is None or read_base_model(Path(folder)).weight_digest != wanted.weight_digest:
        raise NotFoundError(
            f"This machine does not have the base model {wanted.name!r} with those weights."
        )
    return Path(folder)


async def _begin(
    ticket: Ticket,
    base_model: Path,
    settings: WorkerSettings,
    folders: AgentFolders,
    client: httpx.AsyncClient,
    sink: ClearmlSink,
) -> Attempt:
    digest = read_base_model(base_model).weight_digest
    use = TicketUse(job=ticket.job, code=ticket.code, weight_digest=digest)
    hold = await use_ticket(client, settings.worker_key, use)
    spec = ticket.spec_of(hold.attempt, hold.fencing_token, hold.resume_from)
    record = AttemptRecord(
        attempt=spec.attempt,
        job=spec.job,
        fencing_token=spec.fencing_token,
        session_id=spec.attempt,
        session_key="",  # the line holds it: nothing of this attempt outlives the process
        lease_seconds=hold.lease_seconds,
    )
    folder = folders.attempt(spec.attempt)
    folder.create(record, spec.model_dump_json(exclude_none=True).encode())
    return Attempt(
        record,
        spec,
        folder,
        base_model=base_model,
        line=HttpLine(client, hold),
        tools=AttemptTools(
            cache=AdapterCache(folders.adapters, _NO_CACHE_BYTES),
            pinned=tuple,
            worker=worker.WorkerSettings(threads=settings.threads),
            listener=sink,
        ),
    )

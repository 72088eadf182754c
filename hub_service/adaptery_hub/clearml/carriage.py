"""Builds what takes jobs through ClearML, if a queue of the settings leads there.

What an operator gives to each machine of ClearML's workers is one file, which the service writes:
its address, its public key, and the key of workers.
"""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from adaptery import base64url
from adaptery.files import write_atomic
from adaptery_hub.audit import AuditLog
from adaptery_hub.clearml.carrier import ROUND_SECONDS, ClearmlCarrier
from adaptery_hub.clearml.choosing import check_clearml, clearml_queues, sdk_configuration
from adaptery_hub.clearml.credentials import ClearmlConfigurationError
from adaptery_hub.clearml.program import RegisterProgram
from adaptery_hub.clearml.workers import KEY_PREFIX, WorkerDesk
from adaptery_hub.fleet.fleet import FleetParts
from adaptery_hub.queue.embedded import EmbeddedQueue
from adaptery_hub.settings import ServiceSettings

#: In the state folder: for the machines of workers.
WORKER_FILE = "clearml-worker.json"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Carriage:
    """The way of jobs through ClearML, both ends of it."""

    carrier: ClearmlCarrier
    workers: WorkerDesk


def build_carriage(
    settings: ServiceSettings, parts: FleetParts | None, audit: AuditLog
) -> Carriage | None:
    """Return it; None: no queue leads there. Blocks.

    Raises:
        ClearmlConfigurationError: an address or a key is not as it must be.
    """
    options = clearml_queues(settings)
    if not options:
        return None
    if parts is None:
        raise ClearmlConfigurationError(
            "A queue leads to ClearML, and there is no broker.", hint="Set broker_url."
        )
    key = check_clearml(settings)
    program = RegisterProgram(
        settings.clearml_python or sys.executable,
        settings.state_path / "clearml-jobs",
        sdk_configuration(settings, key, None),
        ROUND_SECONDS,
    )
    identity, queue = parts.identity, cast(EmbeddedQueue, parts.queue)
    worker_key = _worker_key(settings.state_path / "keys" / "clearml-worker.key")
    carrier = ClearmlCarrier(
        parts.database,
        queue,
        program,
        audit,
        identity.signing_key,
        f"{settings.clearml_project}/jobs",
        options,
    )
    workers = WorkerDesk(parts.database, queue, parts.desk, identity.session_master, worker_key)
    given = {
        "service_url": settings.clearml_service_url,
        "service_key": identity.signing_key.verify_key.text,
        "worker_key": KEY_PREFIX + base64url.encode(worker_key),
    }
    text = json.dumps(given, indent=2) + "\n"
    write_atomic(settings.state_path / WORKER_FILE, text.encode(), 0o600)
    return Carriage(carrier, workers)


def _worker_key(path: Path) -> bytes:
    """Return the key of workers; kept, so that a restart locks none out."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, secrets.token_bytes(_KEY_BYTES), 0o600)
    return path.read_bytes()

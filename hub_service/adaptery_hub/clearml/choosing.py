"""Builds what tells ClearML of versions, if the settings name a ClearML."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adaptery.schemas.common import parse
from adaptery.schemas.queues import QueueOptions
from adaptery_hub.audit import AuditLog
from adaptery_hub.clearml.addresses import s3_host
from adaptery_hub.clearml.credentials import ClearmlConfigurationError, ClearmlKey, read_key
from adaptery_hub.clearml.links import ClearmlLinks, LinkRules
from adaptery_hub.clearml.program import RegisterProgram
from adaptery_hub.database import Database
from adaptery_hub.metrics import Metrics
from adaptery_hub.objects import FilesystemStore
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.s3_clients import S3Clients
from adaptery_hub.settings import ServiceSettings

#: The SDK's own tries; ours are the rows of the database.
_RETRIES = {
    "total": 3,
    "connect": 2,
    "read": 2,
    "redirect": 2,
    "status": 3,
    "backoff_factor": 0.5,
    "backoff_max": 5.0,
}


def build_links(
    settings: ServiceSettings,
    database: Database,
    store: FilesystemStore | S3Store,
    audit: AuditLog,
    metrics: Metrics,
) -> ClearmlLinks | None:
    """Return it; None: there is no ClearML.

    Raises:
        ClearmlConfigurationError: an address or a key is not as it must be.
    """
    if not settings.clearml_api_url:
        return None
    key = check_clearml(settings)
    clients = store.clients if isinstance(store, S3Store) else None
    program = RegisterProgram(
        settings.clearml_python or sys.executable,
        settings.state_path / "clearml",
        sdk_configuration(settings, key, clients),
        settings.clearml_deadline_seconds,
    )
    rules = LinkRules(
        settings.clearml_project,
        tuple(settings.clearml_sensitivities),
        settings.clearml_shares_files,
        settings.clearml_deadline_seconds,
    )
    return ClearmlLinks(database, store, program, audit, metrics, rules)


def check_clearml(settings: ServiceSettings) -> ClearmlKey:
    """Check what can be seen without asking ClearML; return the key.

    Raises:
        ClearmlConfigurationError: something is not as it must be.
    """
    check_addresses(settings)
    path = settings.clearml_credentials_file
    return read_key(Path(path) if path else None)


def check_addresses(settings: ServiceSettings) -> None:
    """Check all but the key, which may be in the environment of the service only.

    Raises:
        ClearmlConfigurationError: an address or the project's name cannot be one.
    """
    for name in ("clearml_api_url", "clearml_files_url", "clearml_web_url"):
        url = getattr(settings, name)
        if not url and name == "clearml_web_url":
            continue
        if not _is_address(url):
            raise ClearmlConfigurationError(
                f"{name} is no address of a server.", hint=f"Write {name} as https://host[:port]."
            )
    project = settings.clearml_project
    if len(project) < 3 or project != project.strip() or any(c in project for c in "\n\r\"'\\"):
        raise ClearmlConfigurationError(
            "clearml_project cannot be a project of ClearML.",
            hint="Use at least three characters, and no quotes.",
        )


def clearml_queues(settings: ServiceSettings) -> Mapping[str, QueueOptions]:
    """Return the queues that lead to ClearML.

    Raises:
        ClearmlConfigurationError: there are some, and no ClearML, or no way back for its workers.
    """
    options = {name: parse(QueueOptions, said) for name, said in settings.queues.items()}
    found = {name: said for name, said in options.items() if said.clearml_queue is not None}
    if found and not settings.clearml_api_url:
        raise ClearmlConfigurationError(
            f"The queue {min(found)} leads to a ClearML, and there is none.",
            hint="Set clearml_api_url.",
        )
    if found and urlsplit(settings.clearml_service_url).scheme not in ("http", "https"):
        raise ClearmlConfigurationError(
            "The workers of ClearML do not know where Adaptery is.",
            hint="Set clearml_service_url.",
        )
    return found


def sdk_configuration(
    settings: ServiceSettings, key: ClearmlKey, clients: S3Clients | None
) -> Mapping[str, Any]:
    """Return what the SDK reads; it holds ClearML's key, and the reader's of the store."""
    api = {
        "api_server": settings.clearml_api_url.rstrip("/"),
        "web_server": (settings.clearml_web_url or settings.clearml_api_url).rstrip("/"),
        "files_server": settings.clearml_files_url.rstrip("/"),
        "credentials": {"access_key": key.access_key, "secret_key": key.secret_key},
        "http": {
            "retries": _RETRIES,
            "wait_on_maintenance_forever": False,
            "default_method": "post",  # it would send bodies with GET, which proxies drop
        },
    }
    sdk: dict[str, Any] = {"development": {"worker": {"log_stdout": False}}}
    if clients is not None:
        sdk["aws"] = {"s3": _s3_section(clients)}
    return {"api": api, "sdk": sdk}


def _s3_section(clients: S3Clients) -> Mapping[str, Any]:
    config, reader = clients.config, clients.credential("reader")
    held: dict[str, Any] = {
        "key": reader.key_id,
        "secret": reader.secret,
        "region": config.region,
        "token": reader.session_token or "",
    }
    bucket: dict[str, Any] = {**held, "bucket": config.bucket, "multipart": False}
    if config.endpoint_url:
        bucket["host"] = s3_host(config.endpoint_url)
        bucket["secure"] = config.endpoint_url.startswith("https:")
    return {**held, "use_credentials_chain": False, "credentials": [bucket]}


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and port_is_one

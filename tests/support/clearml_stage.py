"""A service with an S3 store that tells a ClearML, and the real SDK in an environment of its own.

The ClearML is the stand-in of `support.clearml_double`; or a real server, if CLEARML_API_HOST,
CLEARML_FILES_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY name one.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptery_hub.clearml.choosing import sdk_configuration
from adaptery_hub.clearml.credentials import ClearmlKey
from adaptery_hub.clearml.links import Waits
from adaptery_hub.objects.credentials import write_credentials
from adaptery_hub.objects.s3_clients import S3Clients, S3Config
from adaptery_hub.services import Services
from adaptery_hub.settings import ServiceSettings
from support.clearml_double import ACCESS_KEY, SECRET_KEY, ClearmlDouble, running_double
from support.client_environments import REPOSITORY, Environment
from support.service import Service, running_service
from support.stores import moto_credentials

SDK = Environment("clearml", ("clearml==2.1.12", "boto3==1.44.5"))
PROGRAMS = REPOSITORY / "tests" / "integration" / "clearml" / "programs"
BUCKET = "adaptery-clearml"
WAITS = Waits(look=0.2, first=0.2, last=1.0)
DEADLINE_SECONDS = 240.0
RESOLVE_SECONDS = 300


@dataclass(frozen=True)
class ClearmlServer:
    """Where a ClearML is."""

    api_url: str
    files_url: str
    key: ClearmlKey
    double: ClearmlDouble | None  # None: it is a real one


@asynccontextmanager
async def clearml_server() -> AsyncIterator[ClearmlServer]:
    """Give the server that the environment names, or else the stand-in."""
    names = ("CLEARML_API_HOST", "CLEARML_FILES_HOST")
    names += ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY")
    if all(os.environ.get(name) for name in names):
        api, files, access, secret = (os.environ[name] for name in names)
        yield ClearmlServer(api, files, ClearmlKey(access, secret), None)
        return
    async with running_double() as double:
        yield ClearmlServer(double.url, double.url, ClearmlKey(ACCESS_KEY, SECRET_KEY), double)


@dataclass(frozen=True)
class ClearmlStage:
    """A service, its store, a ClearML and an SDK."""

    service: Service
    server: ClearmlServer
    configuration: Mapping[str, Any]
    folder: Path
    project: str

    async def resolve(self, *tags: str, owner: str = "users/demo") -> Mapping[str, Any]:
        """Return what a user of ClearML finds under tags."""
        place = self.folder / "reader"
        place.mkdir(exist_ok=True)
        conf = place / "clearml.conf"
        conf.write_text(json.dumps(self.configuration))
        process = await asyncio.create_subprocess_exec(
            *(str(SDK.python()), "-I", str(PROGRAMS / "resolve.py")),
            *(f"{self.project}/{owner}", *tags),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(place),
                "CLEARML_CONFIG_FILE": str(conf),
                "CLEARML_CACHE_DIR": str(place / "cache"),
            },
        )
        async with asyncio.timeout(RESOLVE_SECONDS):
            said, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()[-2000:]
        return json.loads(said)


@asynccontextmanager
async def clearml_stage(
    folder: Path,
    s3_url: str,
    server: ClearmlServer,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> AsyncIterator[ClearmlStage]:
    """Run a service that tells the server, below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = _options(folder, s3_url, server, deadline_seconds)

    def hurry(services: Services) -> None:
        assert services.clearml is not None
        services.clearml._waits = WAITS

    async with running_service(folder / "state", hurry, **options) as service:
        settings = service.services.settings
        config = S3Config("s3", BUCKET, s3_url)
        made = sdk_configuration(settings, server.key, S3Clients(config, moto_credentials()))
        yield ClearmlStage(service, server, made, folder, settings.clearml_project)


def _options(
    folder: Path, s3_url: str, server: ClearmlServer, deadline_seconds: float
) -> dict[str, Any]:
    s3, clearml = folder / "s3.ini", folder / "clearml.ini"
    s3.write_bytes(write_credentials(moto_credentials()))
    key = server.key
    clearml.write_text(f"[clearml]\naccess_key = {key.access_key}\nsecret_key = {key.secret_key}\n")
    for path in (s3, clearml):
        path.chmod(0o600)
    return {
        "object_store": "s3",
        "s3_endpoint_url": s3_url,
        "s3_bucket": BUCKET,
        "s3_manage_bucket": True,
        "s3_credentials_file": str(s3),
        "clearml_api_url": server.api_url,
        "clearml_files_url": server.files_url,
        "clearml_credentials_file": str(clearml),
        "clearml_python": str(SDK.python()),
        "clearml_deadline_seconds": deadline_seconds,
        "clearml_project": ServiceSettings().clearml_project + " tests",
    }

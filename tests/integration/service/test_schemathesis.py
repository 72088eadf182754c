"""schemathesis over the OpenAPI document: no 5xx, no status that is not documented.

It runs in an environment of its own and asks as an administrator who owns one thing of each kind,
and as a worker of ClearML; paths are filled with real ids as well as with what it makes up.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.attack_stage import Stage
from support.clearml_workers import begun, worker_service
from support.client_environments import Environment
from support.hub_tables import BASE, WEIGHTS
from support.served_adapters import serve
from support.service import Service, running_service

OPTIONS = {"base_models": {BASE: "/models/tiny"}, "pinned_digests": {BASE: WEIGHTS}}
SCHEMATHESIS = Environment("schemathesis", ("schemathesis==4.32.5",))
CHECKS = "status_code_conformance,content_type_conformance"
EXAMPLES = 40  # of each operation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_service(tmp_path / "state", **OPTIONS) as service:
        await serve(service)
        yield Stage(service)


async def test_no_5xx_and_no_undocumented_status(stage: Stage, tmp_path: Path) -> None:
    things = await stage.things()
    token = "token-of-schemathesis"
    client = stage.service.client("owner", scopes=("read", "write", "infer", "admin"), token=token)
    document = await client.json("GET", "api/openapi.json")
    real = {
        **things.ids,
        "training_file": f"file-{things.ids['dataset'][3:]}",
        "fine_tuning_job": f"ftjob-{things.ids['job'][3:]}",
        "task": "sft",
    }
    for path, item in document["paths"].items():
        named = {**real, "name": "training"} if "queues" in path else real
        for parameter in item.get("parameters", ()):
            if id_of := named.get(parameter["name"]):
                parameter["schema"] = {"anyOf": [{"const": id_of}, parameter["schema"]]}
    # The page sends to the Hub's login, which is not here; workers show other secrets.
    await conforms(stage.service, tmp_path, document, token, "--exclude-path-regex", "^/$|/worker/")


async def test_workers_routes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with worker_service(tmp_path / "state", monkeypatch) as service:
        document = await service.client("demo").json("GET", "api/openapi.json")
        worker, hold = await begun(service)
        item = document["paths"]["/api/worker/attempts/{attempt}"]
        item["parameters"][0]["schema"] = {"const": hold.attempt}
        for secret, part in ((worker, "tickets"), (hold.session, "attempts")):
            chosen = ("--include-path-regex", f"/worker/{part}")
            await conforms(service, tmp_path, document, secret, *chosen)


async def conforms(
    service: Service, folder: Path, document: object, token: str, *more: str
) -> None:
    """Ask the service whatever a document allows, and look whether the answers are in it."""
    python = await asyncio.to_thread(SCHEMATHESIS.python)
    schema = folder / "openapi.json"
    schema.write_text(json.dumps(document))
    run = await asyncio.create_subprocess_exec(
        str(python.with_name("st")),
        *("run", str(schema), "--url", service.url, "--checks", CHECKS),
        *("--max-examples", str(EXAMPLES), "--seed", "7", "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing", "--request-timeout", "20", "--no-color"),
        *("--header", f"Authorization: Bearer {token}", "--suppress-health-check", "all"),
        *more,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await run.communicate()
    (folder / "said.txt").write_bytes(said)
    assert run.returncode == 0, said.decode(errors="replace")[:12000]

"""schemathesis over the OpenAPI document: no 5xx, no status that is not documented.

It runs in an environment of its own and asks as an administrator who owns one thing of each kind;
paths are filled with real ids as well as with what it makes up.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.attack_stage import Stage
from support.client_environments import Environment
from support.hub_tables import BASE, WEIGHTS
from support.served_adapters import serve
from support.service import running_service

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
    python = await asyncio.to_thread(SCHEMATHESIS.python)
    things = await stage.things()
    token = "token-of-schemathesis"
    client = stage.service.client("owner", scopes=("read", "write", "infer", "admin"), token=token)
    document = await client.json("GET", "api/openapi.json")
    for item in document["paths"].values():
        for parameter in item.get("parameters", ()):
            if real := things.ids.get(parameter["name"]):
                parameter["schema"] = {"anyOf": [{"const": real}, parameter["schema"]]}
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(document))
    run = await asyncio.create_subprocess_exec(
        str(python.with_name("st")),
        *("run", str(schema), "--url", stage.service.url, "--checks", CHECKS),
        *("--max-examples", str(EXAMPLES), "--seed", "7", "--continue-on-failure"),
        *("--exclude-path", "/"),  # the page sends to the Hub's login, which is not here
        *("--phases", "examples,coverage,fuzzing", "--request-timeout", "20", "--no-color"),
        *("--header", f"Authorization: Bearer {token}", "--suppress-health-check", "all"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await run.communicate()
    (tmp_path / "said.txt").write_bytes(said)
    assert run.returncode == 0, said.decode(errors="replace")[:12000]

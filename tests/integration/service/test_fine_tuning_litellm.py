"""The fine-tuning API as LiteLLM uses it, in an environment of its own."""

import asyncio
import json
from pathlib import Path

import pytest

from support.client_environments import Environment
from support.hub_tables import BASE
from support.served_adapters import Fleet
from support.service import Client, Service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LITELLM = Environment("litellm_sdk", ("litellm==1.110.2",))
PROGRAM = """
import json, sys
import litellm

place = json.loads(sys.argv[1])
there = {"custom_llm_provider": "openai", "api_base": place["url"], "api_key": place["token"]}
with open(place["file"], "rb") as rows:
    file = litellm.create_file(file=rows, purpose="fine-tune", **there)
with open(place["file"], "rb") as rows:
    after = {"anchor": "created_at", "seconds": 3600}
    kept = litellm.create_file(file=rows, purpose="fine-tune", expires_after=after, **there)
job = litellm.create_fine_tuning_job(
    model=place["model"],
    training_file=file.id,
    validation_file=kept.id,
    suffix="lite",
    extra_body={"lora_rank": 4},
    **there,
)
listed = litellm.list_fine_tuning_jobs(limit=5, **there)
gone = litellm.cancel_fine_tuning_job(fine_tuning_job_id=job.id, **there)
names = [one.id for one in listed.data]
kept_for = kept.expires_at - kept.created_at
held_out = job.validation_file == kept.id and 3595 <= kept_for <= 3605
print(json.dumps([file.status, job.status, held_out, names == [job.id], gone.status]))
"""


async def test_litellm_uploads_submits_lists_and_cancels(
    service: Service, demo: Client, fleet: Fleet, tmp_path: Path
) -> None:
    python = await asyncio.to_thread(LITELLM.python)
    rows = tmp_path / "rows.jsonl"
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    rows.write_text(json.dumps({"messages": messages}) + "\n")
    token = demo.headers["Authorization"].removeprefix("Bearer ")
    place = {"url": service.url + "v1", "token": token, "file": str(rows), "model": BASE}
    run = await asyncio.create_subprocess_exec(
        str(python),
        *("-c", PROGRAM, json.dumps(place)),
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await run.communicate()
    assert run.returncode == 0, wrong.decode()[-2000:]
    (told,) = (json.loads(line) for line in said.splitlines() if line.startswith(b"["))
    assert told == ["processed", "queued", True, True, "cancelled"]

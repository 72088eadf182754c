"""The serve command with `--device cuda`, as an agent runs it."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.engine import Reference
from support.waiting import eventually_sync

pytestmark = pytest.mark.gpu

PROMPT = list(b"Tell me about the sky. ")


async def test_callers_at_once_get_their_own_answers(
    base: Path, adapters: dict[str, Path], reference: Reference, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    ready = tmp_path / "ready.json"
    words = ["--model", base, "--token-file", tmp_path / "token", "--ready-file", ready]
    command = [sys.executable, "-m", "adaptery_inference", "serve", *map(str, words)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--device", "cuda"], stdout=log, stderr=log)
    try:
        eventually_sync(ready.exists, timeout_seconds=90)
        url = f"http://127.0.0.1:{httpx.Response(200, content=ready.read_bytes()).json()['port']}"
        headers = {"Authorization": "Bearer secret"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            for name, folder in adapters.items():
                body = {"lora_name": name, "lora_path": str(folder)}
                (await client.post("/v1/load_lora_adapter", json=body)).raise_for_status()
            names = [None, *adapters] * 4
            found = await asyncio.gather(*(_ask(client, name) for name in names))
        wanted = {name: reference.greedy(PROMPT, 10, name) for name in set(names)}
        assert found == [wanted[name] for name in names]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()


async def _ask(client: httpx.AsyncClient, name: str | None) -> list[int]:
    body = {"prompt": PROMPT, "max_tokens": 10, "temperature": 0, "ignore_eos": True}
    more = {"model": name or "", "return_token_ids": True, "logprobs": 0}
    answer = await client.post("/v1/completions", json={**body, **more})
    answer.raise_for_status()
    return answer.json()["choices"][0]["token_ids"]

"""Prompts and records are readable nowhere: not in the broker, database, logs, metrics or errors.

Each canary is searched raw, in base64, as hex and JSON-escaped. That the search can find something
is checked on the places where the content belongs.
"""

import asyncio
import json
import secrets
from pathlib import Path

import pytest

from local_hub import HubProcess, HubUser
from support.api import Api, make_version, submit, wait_for_job
from support.spy import Spy, spellings


def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


def where(state: Path, word: str, folders: tuple[str, ...]) -> list[str]:
    """Return the files outside `folders` that hold the word in any spelling."""
    found = []
    for path in state.rglob("*"):
        inside = path.relative_to(state).parts[0] in folders
        if path.is_file() and not inside and any(s in path.read_bytes() for s in spellings(word)):
            found.append(str(path.relative_to(state)))
    return found


#: Where records lie on purpose, in the clear: the registry's own folders and the worker's.
REGISTRY = ("drafts", "uploads", "objects", "incoming")


@pytest.fixture(scope="module")
def admin_api(admin: HubUser) -> Api:
    scopes = ["access:services!service=adaptery", "custom:adaptery:admin"]
    return Api.of(admin, scopes)


async def test_no_prompt_and_no_record_is_readable_on_the_way(
    hub: HubProcess, demo_api: Api, admin_api: Api
) -> None:
    spy = Spy()
    await spy.listen(hub.state, f"nats://127.0.0.1:{hub.port + 4}")
    record, prompt, stream, wrong = (canary() for _ in range(4))

    def act() -> str:
        rows = [{"instruction": f"{record} {i}", "input": "", "output": "yes"} for i in range(6)]
        _, version = make_version(demo_api, "canaries", json.dumps(rows).encode())
        job = submit(demo_api, "canaries", version["name"], epochs=1)
        adapter = wait_for_job(demo_api, job["id"])["adapter"]
        for word, options in ((prompt, {}), (stream, {"stream": True})):
            messages = [{"role": "user", "content": word}]
            body = {"model": adapter, "messages": messages, "max_tokens": 4, **options}
            assert demo_api.post("v1/chat/completions", json=body).status_code == 200
        broken = {"model": adapter, "messages": [{"role": wrong, "content": wrong}]}
        answer = demo_api.post("v1/chat/completions", json=broken)
        assert answer.status_code in (400, 422)
        return answer.text

    error = await asyncio.to_thread(act)
    await spy.close()
    traffic = spy.traffic()
    metrics = admin_api.get("metrics").text
    for word in (record, prompt, stream, wrong):
        for spelling in spellings(word):
            assert spelling not in traffic
            assert spelling not in metrics.encode()
            assert spelling not in error.encode()
    assert b".infer." in traffic and b".bulk." in traffic, "the spy heard the messages themselves"
    for word in (prompt, stream, wrong):
        assert where(hub.state, word, ()) == []
    assert where(hub.state, record, REGISTRY) == []
    assert where(hub.state, record, ()) != [], "the search finds what lies in the registry"

"""The Jupyter server seals what its browser asks of a restricted adapter."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from support.hub_tables import BASE
from support.sealed_stage import SealedStage, staged
from support.served_adapters import BASE_MODELS, add_adapter
from support.service import Service, running_service

from .conftest import LOGIN, running

TOKEN = "token-of-the-server"
QUESTION = "question-9e41"
CHAT = {"messages": [{"role": "user", "content": QUESTION}]}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", base_models=BASE_MODELS) as service:
        owner = service.client("demo", token=TOKEN)
        await add_adapter(service, owner, "secret", sensitivity="restricted")
        await add_adapter(service, owner)
        yield service


@pytest.fixture
async def stage(service: Service) -> AsyncIterator[SealedStage]:
    async with staged(service) as stage:
        yield stage


@pytest.fixture
async def browser(service: Service, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is logged in to a Jupyter server with the extension."""
    folder = tmp_path / "jupyter"
    folder.mkdir()
    known = {"ADAPTERY_URL": service.url, "JUPYTERHUB_API_TOKEN": TOKEN}
    with running(folder, known) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            await client.get("/login")
            await client.get("/login", params={"token": LOGIN})
            client.headers["X-XSRFToken"] = client.cookies["_xsrf"]
            yield client
        assert QUESTION not in (folder / "server.log").read_text()


async def test_the_chat_of_the_panel_is_sealed_in_the_server(
    stage: SealedStage, browser: httpx.AsyncClient
) -> None:
    agent, path = stage.agents[0], "/adaptery/v1/chat/completions"

    plain = await browser.post(path, json={**CHAT, "model": "secret"})
    assert plain.status_code == 200, plain.text
    assert plain.json()["choices"][0]["message"]["content"] == "Hello"
    async with browser.stream("POST", path, json={**CHAT, "model": "secret", "stream": True}) as a:
        assert a.headers["content-type"] == "text/event-stream"
        lines = [line[6:] async for line in a.aiter_lines() if line]
    assert lines[-1] == "[DONE]"
    said = [json.loads(line)["choices"][0]["delta"].get("content") for line in lines[:-1]]
    assert said[:2] == ["He", "llo"]

    beside = {**CHAT, "model": BASE, "sealed": True}
    assert (await browser.post(path, json=beside)).json()["model"] == BASE
    assert len(agent.asked) == 3 and "v1/chat/completions" not in stage.routes()

    missing = await browser.post(path, json={**CHAT, "model": "never"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    wrong = await browser.post(path, json={"model": "secret", "messages": []})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_input")
    assert len(agent.asked) == 3 and "v1/chat/completions" not in stage.routes()

    # What is open goes on as it always did, and is answered by no agent that only seals.
    await browser.post(path, json={**CHAT, "model": "soap"})
    assert "v1/chat/completions" in stage.routes() and len(agent.asked) == 3

    agent.go_on.clear()
    agent.freed.clear()
    body = {**CHAT, "model": "secret", "stream": True}
    async with browser.stream("POST", path, json=body) as answer:
        await anext(answer.aiter_lines())
    await asyncio.wait_for(agent.freed.wait(), 2)

    assert (await browser.post("/adaptery/sealed/offer", json={})).status_code == 404

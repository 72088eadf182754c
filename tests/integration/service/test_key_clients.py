"""Real clients with an own key, unmodified: what they send works, and errors are theirs.

LangChain's `VLLMOpenAI` (the paper's Listing 5) runs in an environment of its own.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from support.hub_tables import BASE
from support.served_adapters import Fleet, add_adapter
from support.service import Client, Service

CLIENTS = Path(__file__).parents[3] / "build" / "clients"
LISTING_5 = """
import sys
from langchain_community.llms import VLLMOpenAI

llm = VLLMOpenAI(openai_api_key=sys.argv[1], openai_api_base=sys.argv[2], model_name=sys.argv[3])
assert llm.invoke("What is a SOAP note?") == "Hello"
assert "".join(llm.stream("What is a SOAP note?")) == "Hello"
"""


async def secret_for(service: Service, owner: Client, **fields: object) -> str:
    await add_adapter(service, owner)
    body = {"name": "client", "adapters": ["soap"], **fields}
    return (await owner.json("POST", "api/keys", 201, json=body))["secret"]


@pytest.mark.parametrize("address", ["v1", "a/@demo/soap/v1", "a/%40demo/soap%401/v1"])
async def test_openai_python(service: Service, demo: Client, fleet: Fleet, address: str) -> None:
    secret = await secret_for(service, demo)
    async with openai.AsyncOpenAI(base_url=service.url + address, api_key=secret) as client:
        assert [model.id async for model in client.models.list()] == ["@demo/soap@1"]
        assert (await client.models.retrieve("@demo/soap")).id == "@demo/soap@1"
        for model in ("", BASE, "@demo/soap"):
            chat = await client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "hi"}]
            )
            assert chat.choices[0].message.content == "Hello"
        stream = await client.completions.create(model=BASE, prompt=["hi"], stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == "Hello"
        with pytest.raises(openai.NotFoundError):
            await client.completions.create(model="gpt-4o", prompt="hi")
        with pytest.raises(openai.PermissionDeniedError):
            await client.with_options(base_url=service.url + "v1").embeddings.create(
                model="", input="hi"
            )


async def test_openai_python_maps_what_is_refused(
    service: Service, demo: Client, fleet: Fleet
) -> None:
    secret = await secret_for(service, demo, tokens_per_day=5)
    base_url = service.url + "v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key=secret) as client:
        await client.completions.create(model="", prompt="hi")
        asked = len(fleet.asked)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.completions.create(model="", prompt="hi")
        assert caught.value.code == "insufficient_quota" and len(fleet.asked) == asked
        with pytest.raises(openai.BadRequestError):
            await client.completions.create(model="", prompt="hi", temperature=99)
    async with openai.AsyncOpenAI(base_url=base_url, api_key=secret[:-1]) as client:
        with pytest.raises(openai.AuthenticationError, match="not a whole key"):
            await client.models.list()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["v1", "a/@demo/soap/v1"])
async def test_listing_5_of_the_paper_with_langchain(
    service: Service, demo: Client, fleet: Fleet, address: str
) -> None:
    python = await asyncio.to_thread(langchain_python)
    secret = await secret_for(service, demo)
    run = await asyncio.create_subprocess_exec(
        str(python),
        *("-W", "ignore", "-c", LISTING_5, secret, service.url + address, BASE),
        env={"PATH": "/usr/bin:/bin"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await run.communicate()
    assert run.returncode == 0, said.decode()
    assert fleet.request()["prompt"] == "What is a SOAP note?"


def langchain_python() -> Path:
    """Return the Python of an environment with langchain-community, made once."""
    folder = CLIENTS / "langchain-community"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    install = [str(python), "-m", "pip", "install", "-q", "langchain-community", "openai"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(install, check=True, capture_output=True, timeout=240)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("langchain-community cannot be installed here")
    (folder / "ready").touch()
    return python

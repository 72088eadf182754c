"""Embeddings over a real broker: sealed both ways, by an agent whose embedder is a process."""

import base64
import os
import signal

import pytest

from adaptery.errors import NotFoundError, RefusedError
from adaptery_network.agent.engine import ENGINE_MARK
from adaptery_network.agent.processes import find_marked
from support.embedders import vector_of
from support.waiting import eventually

from .conftest import join_and_run

CANARY = "canary-4be1"
NAME, DIGEST = "tiny-embedder", "sha256:" + "e" * 64
LONG = 60


async def embed(service, texts, *, verb="embed", digest=DIGEST):
    body = {"model": {"name": NAME, "weight_digest": digest}, "input": texts}
    grant = service.grant_for(NAME, verb, digest)
    frames = [
        frame async for frame in service.caller.stream(service.card, "embed", grant, body, 30)
    ]
    packed = b"".join(base64.b64decode(f.value["vectors"]) for f in frames if f.type == "data")
    return [packed[place : place + 16] for place in range(0, len(packed), 16)]


def embedders(agent):
    return find_marked({ENGINE_MARK: str(agent.state / "engines" / NAME)})


async def test_vectors_travel_sealed_and_the_process_comes_and_goes_with_the_agent(network):
    broker, service, agent = network
    spy, heard = await broker.spy()
    await join_and_run(service, agent, "finish")
    beat = await eventually(lambda: _told(service), timeout_seconds=LONG)
    assert (beat["name"], beat["weight_digest"], beat["state"]) == (NAME, DIGEST, "stopped")
    assert not embedders(agent)
    texts = [f"{CANARY} {n}" for n in range(1000)]
    vectors = [vector_of(text) for text in texts]
    assert await embed(service, texts) == vectors
    (process,) = embedders(agent)
    os.kill(process.pid, signal.SIGKILL)
    assert await embed(service, texts) == vectors, "the next request finds it back"
    for wrong in ({"verb": "infer"}, {"digest": "sha256:" + "0" * 64}):
        with pytest.raises(RefusedError if "verb" in wrong else NotFoundError):
            await embed(service, ["x"], **wrong)
    await spy.close()
    packed = base64.b64encode(b"".join(vectors[:3]))[:40]
    assert heard and not any(form in data for data in heard for form in (CANARY.encode(), packed))
    assert await agent.stop() == 0
    assert not embedders(agent)
    assert CANARY not in agent.log.read_text()


def _told(service):
    models = service.beats[-1].get("embedding_models") if service.beats else None
    return models[0] if models else None

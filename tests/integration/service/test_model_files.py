"""Over the network, sealed: an agent hands the service what describes a base model, once."""

import json
from functools import partial
from pathlib import Path

import pytest

from adaptery import times
from adaptery.errors import NotFoundError, RefusedError
from adaptery_hub.fleet.live import BaseModelReport
from adaptery_hub.fleet.orders import Orders
from adaptery_network import subjects
from adaptery_network.agent.base_models import BaseModel
from adaptery_network.agent.model_files import ModelFilesServer
from adaptery_network.caller import Caller
from adaptery_network.sealed_server import SealedServer
from support.hub_tables import BASE, WEIGHTS
from support.sealed_stage import SealedStage
from support.service import Client, Service
from support.tokenizer_folders import write_tokenizer


def find(folder: Path, name: str, digest: str) -> BaseModel:
    if (name, digest) != (BASE, WEIGHTS):
        raise NotFoundError("This agent has no such base model.")
    return BaseModel(name, digest, folder)


async def test_the_service_learns_a_tokenizer_from_the_agent_that_holds_the_model(
    service: Service, stage: SealedStage, demo: Client, tmp_path: Path
) -> None:
    base = write_tokenizer(tmp_path / "base")
    (base / "config.json").write_text(json.dumps({"hidden_size": 64}))
    (agent,) = stage.agents
    card = agent.parts.card
    server = SealedServer(
        agent.transport,
        subjects.control(card.owner, card.agent),
        "fetch",
        agent.opener,
        ModelFilesServer(partial(find, base)).answer,
    )
    await server.start()
    orders = Orders(Caller(stage.transport), stage.identity, stage.roster, times.now)
    files = service.services.model_files
    report = BaseModelReport(BASE, WEIGHTS)
    assert files.find_named(BASE) is None
    await files.collect(WEIGHTS, agent.id, partial(orders.model_piece, agent.id, report))
    folder = files.find_named(BASE)
    assert folder is not None
    assert (folder / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    found = service.services.tokenizers.of(BASE)
    assert found is not None and found.path == folder / "tokenizer.json"

    with pytest.raises(NotFoundError):
        await orders.model_piece(agent.id, report, "model.safetensors", 0)
    other = BaseModelReport(BASE, "sha256:" + "d" * 64)
    with pytest.raises((NotFoundError, RefusedError)):
        await orders.model_piece(agent.id, other, "config.json", 0)
    await server.stop()

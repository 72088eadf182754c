"""Embeddings through everything: proxy, service, broker, agent and a real embedder."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openai
import psutil
import pytest
from sentence_transformers import SentenceTransformer

import adaptery
from local_hub import HubProcess
from support.api import Api
from support.waiting import eventually_sync
from tiny.embedders import EMBEDDER_DIMENSIONS, EMBEDDER_TOKENS

MODEL = "tiny/tiny-embedder"
TEXTS = [f"visit {n} with a cough of {n % 7} days" for n in range(40)]
CANARY = "canary 7e11 text"


@pytest.fixture(scope="module")
def offered(demo_api: Api) -> Api:
    """Demo, once the agent has said that it has the model; converting it takes a moment."""

    def dimensions() -> object:
        listed = {m["id"]: m for m in demo_api.json("GET", "v1/models")["data"]}
        return listed[MODEL]["dimensions"]

    assert eventually_sync(dimensions, timeout_seconds=120) == EMBEDDER_DIMENSIONS
    return demo_api


@pytest.fixture(scope="module")
def client(hub: HubProcess, offered: Api) -> openai.OpenAI:
    made = openai.OpenAI(base_url=f"{hub.service_url}v1", api_key=offered.token, timeout=120)
    hub.clients.append(made)  # type: ignore[arg-type]
    return made


@pytest.fixture(scope="module")
def expected(tiny_embedder: Path) -> np.ndarray:
    return SentenceTransformer(str(tiny_embedder), device="cpu").encode(TEXTS)


def embedders(hub: HubProcess) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "serve-embedder" in (process.info["cmdline"] or [])
        and str(hub.state) in " ".join(process.info["cmdline"])
    ]


def test_openai_and_our_client_get_the_models_own_vectors(
    hub: HubProcess, client: openai.OpenAI, offered: Api, expected: np.ndarray
) -> None:
    usual = client.embeddings.create(model="", input=TEXTS)
    floating = client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    with (
        adaptery.connect(hub.service_url, offered.token) as user,
        pytest.warns(UserWarning, match="longer than what"),
    ):
        ours = np.asarray(user.embed([*TEXTS, "word " * 50]))[: len(TEXTS)]
    for answer in (usual, floating):
        found = np.array([entry.embedding for entry in answer.data], dtype="f4")
        assert np.abs(found - expected).max() < 1e-5
    assert np.abs(ours - expected).max() < 1e-5
    assert usual.usage.prompt_tokens <= EMBEDDER_TOKENS * len(TEXTS)


def test_users_at_once_get_their_own_vectors(
    client: openai.OpenAI, offered: Api, guest_api: Api, expected: np.ndarray
) -> None:
    orders = [np.random.default_rng(seed).permutation(len(TEXTS)) for seed in range(6)]

    def ask(number: int) -> np.ndarray:
        api = (offered, guest_api)[number % 2]
        body = {"input": [TEXTS[place] for place in orders[number]]}
        answer = api.json("POST", "v1/embeddings", json=body)
        return np.array([entry["embedding"] for entry in answer["data"]], dtype="f4")

    with ThreadPoolExecutor(6) as pool:
        for order, found in zip(orders, pool.map(ask, range(6)), strict=True):
            assert np.abs(found - expected[order]).max() < 1e-5


def test_an_embedder_that_is_killed_in_the_middle_costs_no_vector(
    hub: HubProcess, offered: Api, expected: np.ndarray
) -> None:
    offered.json("POST", "v1/embeddings", json={"input": "warm"})
    (process,) = embedders(hub)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(offered.post, "v1/embeddings", json={"input": TEXTS * 51})
        os.kill(process.pid, signal.SIGKILL)
        answer = asking.result()
    if answer.status_code == 200:  # it was asked again
        found = np.array([entry["embedding"] for entry in answer.json()["data"]], dtype="f4")
        assert np.abs(found - np.tile(expected, (51, 1))).max() < 1e-5
    else:
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")


def test_texts_are_in_no_log_and_tokens_and_adapters_get_their_answers(
    hub: HubProcess, client: openai.OpenAI
) -> None:
    client.embeddings.create(model=MODEL, input=CANARY)
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        client.embeddings.create(model=MODEL, input=[[9906, 1917]])
    with pytest.raises(openai.BadRequestError, match="chat model"):
        client.embeddings.create(model="tiny/tiny-llama", input="x")
    logs = "".join(path.read_text() for path in Path(hub.state).rglob("*.log")) + hub.log
    assert CANARY not in logs and "serving port" in logs

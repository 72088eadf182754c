"""One running Hub, one trained adapter and the keys that clients paste: shared by all clients."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from clients.real_clients import PROGRAMS, RealClient
from local_hub import HubProcess, HubUser
from support.api import Api, Journey, take_the_journey
from support.hubs import start_hub
from support.waiting import eventually_sync
from tiny import build_tiny_embedder, build_tiny_model

RUN_SECONDS = 300


@dataclass(frozen=True)
class Outcome:
    """How one feature of a client went."""

    ok: bool
    error: str | None


Outcomes = dict[str, Outcome]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    base = build_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
    embedder = build_tiny_embedder(tmp_path_factory.mktemp("embedder") / "model")
    state = tmp_path_factory.mktemp("hub") / "state"
    hub = start_hub(state, base, ADAPTERY_EMBEDDING_MODEL=str(embedder))
    try:
        yield hub
    finally:
        hub.stop()


@pytest.fixture(scope="session")
def api(hub: HubProcess) -> Api:
    return Api.of(HubUser(hub, "demo"))


@pytest.fixture(scope="session")
def journey(api: Api) -> Journey:
    return take_the_journey(api, "notes")


@pytest.fixture(scope="session")
def place(hub: HubProcess, api: Api, journey: Journey) -> dict[str, str]:
    """What a user would paste into a client."""
    body = {"name": "clients", "adapters": [journey.adapter["id"]]}
    return {
        "service": hub.service_url.rstrip("/"),
        "token": api.token or "",
        "key": api.json("POST", "api/keys", 201, json=body)["secret"],
        "adapter": journey.adapter["full_name"],
        "base": "tiny/tiny-llama",
        "embedding": embedding_model(api),
    }


def embedding_model(api: Api) -> str:
    """Return the embedding model, once an agent has said that it has it."""

    def found() -> str | None:
        models = api.json("GET", "v1/models")["data"]
        return next((model["id"] for model in models if model.get("dimensions")), None)

    name = eventually_sync(found, timeout_seconds=120)
    assert name
    return name


@pytest.fixture(scope="session")
def outcomes(place: dict[str, str]) -> Callable[[RealClient], Outcomes]:
    """Run the program of a client once, and keep what it said."""
    known: dict[str, Outcomes] = {}

    def of(client: RealClient) -> Outcomes:
        if client.name not in known:
            known[client.name] = _run(client, place)
        return known[client.name]

    return of


def client_variables() -> dict[str, str]:
    """Return the variables that each client gets, and no others of ours."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        # Clients that would ask the internet for prices or tables do without.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def _run(client: RealClient, place: dict[str, str]) -> Outcomes:
    python = str(client.environment.python()) if client.requirements else "sh"
    run = subprocess.run(
        [python, *(["-W", "ignore"] if client.requirements else []), PROGRAMS / client.program],
        env={
            **client_variables(),
            "CLIENT_PLACE": json.dumps(place),
            "SERVICE": place["service"],
            "KEY": place["key"],
        },
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"feature"')]
    assert lines, run.stderr[-3000:]
    return {line["feature"]: Outcome(line["ok"], line["error"]) for line in lines}

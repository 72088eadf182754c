"""A restricted adapter through a real Hub, its proxy, a real training and a real engine."""

import asyncio
import secrets
import time

import openai
import pytest

import adaptery
from adaptery.errors import NotFoundError
from local_hub import HubProcess
from support.api import Api, alpaca, make_version, submit, wait_for_job
from support.spy import Spy, spellings

from .test_leaks import REGISTRY, where


@pytest.fixture(scope="module")
def restricted(demo_api: Api) -> str:
    """The name of an adapter of a restricted dataset."""
    dataset, version = make_version(demo_api, "wards", alpaca(12))
    body = {"sensitivity": "restricted"}
    demo_api.json("PATCH", f"api/datasets/{dataset['id']}", json=body)
    job = submit(demo_api, "wards", version["name"], epochs=1)
    return wait_for_job(demo_api, job["id"])["adapter"]


async def test_it_answers_sealed_and_nobody_between_reads_it(
    hub: HubProcess, demo_api: Api, restricted: str
) -> None:
    canary = f"canary-{secrets.token_hex(12)}"
    spy = Spy()
    await spy.listen(hub.state, f"nats://127.0.0.1:{hub.port + 4}")

    def act() -> None:
        with adaptery.connect(hub.service_url, demo_api.token) as client:
            stream = client.chat(restricted, canary, max_tokens=8, temperature=0)
            text = stream.text()
            assert stream.answer is not None and stream.answer.model == restricted
            whole = client.chat(restricted, canary, max_tokens=8, temperature=0, stream=False)
            assert whole.text == text and whole.usage == stream.answer.usage

    await asyncio.to_thread(act)  # meanwhile the spy hears
    await spy.close()
    assert any(".infer." in message.subject for message in spy.heard)
    assert not any(s in spy.traffic() for s in spellings(canary))
    assert where(hub.state, canary, REGISTRY) == []


def test_openai_s_client_asks_it_when_it_can_seal(
    hub: HubProcess, demo_api: Api, restricted: str
) -> None:
    known = {"base_url": f"{hub.service_url}v1", "api_key": demo_api.token}
    asked = {"model": restricted, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
    with openai.OpenAI(**known) as plain, pytest.raises(openai.PermissionDeniedError) as caught:  # type: ignore[arg-type]
        plain.chat.completions.create(**asked)  # type: ignore[call-overload]
    assert caught.value.code == "sealed_channel_required"
    with openai.OpenAI(**known, http_client=adaptery.SealingClient()) as sealing:  # type: ignore[arg-type]
        chunks = list(sealing.chat.completions.create(**asked, stream=True))  # type: ignore[call-overload]
    assert chunks[-1].choices[0].finish_reason is not None


def test_pieces_come_one_by_one_through_the_proxy(
    hub: HubProcess, demo_api: Api, restricted: str
) -> None:
    with adaptery.connect(hub.service_url, demo_api.token) as client:
        began, times = time.monotonic(), []
        for _ in client.chat(restricted, "Tell me a story.", max_tokens=200, temperature=1, seed=3):
            times.append(time.monotonic() - began)
    if len(times) > 20:
        assert times[0] < 0.8 * times[-1], "all of it came at once"


def test_who_may_not_use_it_does_not_learn_of_it(
    hub: HubProcess, guest_api: Api, restricted: str
) -> None:
    with (
        adaptery.connect(hub.service_url, guest_api.token) as client,
        pytest.raises(NotFoundError),
    ):
        client.chat(restricted, "hi", stream=False)

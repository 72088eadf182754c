"""The clients that seal by themselves, against a running service and an agent."""

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import openai
import pytest

import adaptery
from adaptery.client import Hub
from adaptery.errors import (
    AdapteryError,
    EngineBusyError,
    InvalidInputError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
)
from support.hub_tables import BASE
from support.sealed_stage import SealedStage
from support.served_adapters import add_adapter
from support.service import Client, Service

T = TypeVar("T")
QUESTION = "question-51d0"
CHAT = [{"role": "user", "content": QUESTION}]


@pytest.fixture
async def secret(service: Service, demo: Client) -> str:
    return await add_adapter(service, demo, "secret", sensitivity="restricted")


def token_of(client: Client) -> str:
    return client.headers["Authorization"].removeprefix("Bearer ")


async def with_hub(service: Service, client: Client, work: Callable[[Hub], T]) -> T:
    """Do what a script does, in a thread: its client waits."""

    def run() -> T:
        with adaptery.connect(service.url, token_of(client)) as hub:
            return work(hub)

    return await asyncio.to_thread(run)


async def test_the_client_chats_with_a_restricted_adapter_as_with_any(
    service: Service,
    stage: SealedStage,
    demo: Client,
    secret: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")

    def chat(hub: Hub) -> None:
        stream = hub.chat("secret", QUESTION, max_tokens=9)
        assert list(stream) == ["He", "llo"]
        answer = stream.answer
        assert answer is not None and (answer.text, answer.model) == ("Hello", "@demo/secret@1")
        assert answer.finish_reason == "stop" and answer.usage["total_tokens"] == 5
        whole = hub.chat("@demo/secret@1", CHAT, stream=False)
        assert (whole.text, whole.usage) == (answer.text, answer.usage)
        chunks = list(hub.verbs.answer("chat", {"model": "secret", "messages": CHAT}))
        said = [c["choices"][0]["delta"].get("content") for c in chunks]  # type: ignore[index]
        assert said[:2] == ["He", "llo"]
        assert hub.is_sealed("secret") and not hub.is_sealed(BASE)

    await with_hub(service, demo, chat)
    assert [grant.limits["max_tokens"] for grant, _ in stage.agents[0].asked] == [9, 512, 512]
    assert "sealed/send" in stage.routes()
    assert "v1/chat/completions" not in stage.routes(), "no question came in the open"
    assert QUESTION not in caplog.text


async def test_a_base_model_is_sealed_when_it_is_wished(
    service: Service, stage: SealedStage, demo: Client
) -> None:
    answer = await with_hub(
        service, demo, lambda hub: hub.chat(BASE, QUESTION, stream=False, sealed=True)
    )
    assert answer.text == "Hello" and stage.agents[0].asked[0][0].thing == BASE
    verb = {"model": "", "messages": CHAT, "sealed": True}
    await with_hub(service, demo, lambda hub: list(hub.verbs.answer("chat", verb)))
    assert stage.agents[0].asked[1][0].thing == BASE


async def test_the_base_beside_a_restricted_adapter_is_sealed_too(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    from adaptery.client.magics import Magics

    class Shell:
        def __init__(self) -> None:
            self.user_ns: dict[str, object] = {}
            self.displayhook = self

        def update_user_ns(self, result: object) -> None:
            self.user_ns["_"] = result

    def ask(hub: Hub) -> None:
        Magics(Shell(), lambda: hub).chat("secret --beside", QUESTION)  # type: ignore[arg-type]

    await with_hub(service, demo, ask)
    assert [grant.thing for grant, _ in stage.agents[0].asked] == [secret, BASE]


async def test_openai_s_client_works_over_the_sealed_channel(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    def ask() -> None:
        with openai.OpenAI(
            base_url=f"{service.url}v1",
            api_key=token_of(demo),
            http_client=adaptery.SealingClient(),
            max_retries=0,
        ) as client:
            whole = client.chat.completions.create(model="secret", messages=CHAT)  # type: ignore[arg-type]
            assert whole.choices[0].message.content == "Hello"
            stream = client.chat.completions.create(
                model="secret",
                messages=CHAT,  # type: ignore[arg-type]
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = list(stream)
            assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 5
            text = client.completions.create(model="secret", prompt="x")
            assert text.choices[0].text == "Hello" and text.id.startswith("cmpl-rq_")
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="never", messages=CHAT)  # type: ignore[arg-type]
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(model="secret", messages=[])
        with openai.OpenAI(
            base_url=f"{service.url}a/@demo/secret/v1",
            api_key=token_of(demo),
            http_client=adaptery.SealingClient(),
        ) as bound:
            answer = bound.chat.completions.create(model="", messages=CHAT)  # type: ignore[arg-type]
            assert answer.model == "@demo/secret@1"

    await asyncio.to_thread(ask)
    async with openai.AsyncOpenAI(
        base_url=f"{service.url}v1",
        api_key=token_of(demo),
        http_client=adaptery.AsyncSealingClient(),
    ) as client:
        chunks = await client.chat.completions.create(
            model="secret",
            messages=CHAT,  # type: ignore[arg-type]
            stream=True,
        )
        said = [chunk.choices[0].delta.content async for chunk in chunks]
        assert said[:2] == ["He", "llo"]
        text = await client.completions.create(model="secret", prompt="x")
        assert text.choices[0].text == "Hello"


async def test_a_key_of_one_adapter_needs_no_model(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    made = {"name": "k", "adapters": [secret]}
    key = (await demo.json("POST", "api/keys", 201, json=made))["secret"]
    program = service.anonymous({"Authorization": f"Bearer {key}"})
    for model in ("", BASE, "secret"):
        answer = await with_hub(
            service, program, lambda hub, m=model: hub.chat(m, QUESTION, stream=False)
        )
        assert answer.model == "@demo/secret@1"


async def test_who_may_not_use_it_learns_what_others_learn(
    service: Service, stage: SealedStage, guest: Client, secret: str
) -> None:
    said = set()
    for model in ("@demo/secret", "@demo/never"):
        with pytest.raises(NotFoundError) as caught:
            await with_hub(service, guest, lambda hub, m=model: hub.chat(m, "hi", stream=False))
        said.add(str(caught.value))
    assert len(said) == 1 and stage.agents[0].asked == []


async def test_another_agent_is_asked_until_one_begins(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    first, second = stage.agents[0], await stage.add()
    for agent in (first, second):
        agent.words, agent.failure = [], EngineBusyError("no room", retry_after_seconds=3)
    with pytest.raises(EngineBusyError, match="no room"):
        await with_hub(service, demo, lambda hub: hub.chat("secret", "hi", stream=False))
    assert len(first.asked) == len(second.asked) == 1
    second.words, second.failure = ["yes"], None
    for stream in (True, False):
        answer: Any = await with_hub(
            service,
            demo,
            lambda hub, s=stream: (
                hub.chat("secret", "hi").text()
                if s
                else hub.chat("secret", "hi", stream=False).text
            ),
        )
        assert answer == "yes"


async def test_an_answer_that_has_begun_is_not_begun_again(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    await stage.add()
    for agent in stage.agents:
        agent.words, agent.failure = ["He"], UnavailableError("the engine went away")
    for stream in (True, False):
        with pytest.raises(UnavailableError, match="went away"):
            await with_hub(
                service,
                demo,
                lambda hub, s=stream: (
                    hub.chat("secret", "hi").text()
                    if s
                    else hub.chat("secret", "hi", stream=False).text
                ),
            )
    assert sum(len(agent.asked) for agent in stage.agents) == 2


async def test_leaving_early_frees_the_engine_within_a_second(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    agent = stage.agents[0]
    agent.go_on.clear()

    def leave(hub: Hub) -> None:
        with closing(iter(hub.chat("secret", QUESTION))) as pieces:
            assert next(pieces) == "He"

    await with_hub(service, demo, leave)
    await asyncio.wait_for(agent.freed.wait(), 1)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_answer_is_an_error_and_no_answer(
    service: Service, stage: SealedStage, demo: Client, secret: str, stream: bool
) -> None:
    stage.desk._frame_seconds = 0.2
    agent = stage.agents[0]
    real = agent.transport.publish
    sent = 0

    async def publish(subject: str, payload: bytes, reply: str | None = None) -> None:
        nonlocal sent
        sent += 1
        if sent == 1:
            await real(subject, payload, reply)

    agent.transport.publish = publish  # type: ignore[method-assign]

    def ask(hub: Hub) -> None:
        if stream:
            hub.chat("secret", QUESTION).text()
        else:
            hub.chat("secret", QUESTION, stream=False)

    with pytest.raises(AdapteryError) as caught:
        await with_hub(service, demo, ask)
    assert caught.value.code in ("timeout", "unavailable")


async def test_an_offer_with_a_card_that_does_not_open_is_not_sealed_to(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    known = stage.roster.get(stage.agents[0].id)
    assert known is not None
    known.signed_card["card"]["sealing_key"] = "x25519:" + "A" * 43  # type: ignore[index]
    with pytest.raises(AdapteryError) as caught:
        await with_hub(service, demo, lambda hub: hub.chat("secret", "hi", stream=False))
    assert caught.value.code == "integrity" and stage.agents[0].asked == []


async def test_without_cryptography_the_extra_is_named_and_nothing_sent(
    service: Service,
    stage: SealedStage,
    demo: Client,
    secret: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "adaptery.client.sealed_calls", None)
    with pytest.raises(MissingExtraError, match=r"adaptery\[sealed\]"):
        await with_hub(service, demo, lambda hub: hub.chat("secret", "hi", stream=False))
    assert stage.agents[0].asked == []


async def test_what_the_open_channel_refuses_is_refused_before_it_is_sealed(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    client = adaptery.AsyncSealingClient(base_url=service.url, headers=demo.headers)
    async with client:
        for body in (
            {"model": "secret", "messages": []},
            {"model": "secret", "messages": CHAT, "temperature": 9},
            {"model": "secret", "messages": [{"role": "user", "content": QUESTION}], "n": 99},
        ):
            answer = await client.post("v1/chat/completions", json=body)
            open_ = await demo.post("v1/chat/completions", json={**body, "model": BASE})
            assert answer.status_code == open_.status_code == 400
            assert answer.json()["error"] == open_.json()["error"]
            assert QUESTION not in json.dumps(answer.json())
        twice = '{"model": "secret", "model": "secret", "messages": []}'
        assert (await client.post("v1/chat/completions", content=twice)).status_code == 400
        best = {"model": "secret", "prompt": "x", "best_of": 2, "stream": True}
        assert (await client.post("v1/completions", json=best)).status_code == 400
    with pytest.raises(InvalidInputError):
        await with_hub(service, demo, lambda hub: hub.chat("secret", [], stream=False))
    assert stage.agents[0].asked == []

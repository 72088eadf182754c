"""OpenAI's and LoRAX's whole surface over a real engine: what is asked is what comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import openai
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from adaptery_hub.fleet.live import BaseModelReport
from adaptery_hub.gateway import Gateway
from adaptery_hub.usage import UsageLog
from adaptery_inference.build import BuiltEngine
from adaptery_inference.server.generation import EngineService
from adaptery_inference.server.main import make_app
from support.engine_fleet import EngineFleet
from support.hub_tables import BASE, WEIGHTS
from support.service import Client, Service, running_service

TOKEN = "a-token"
HELLO = [{"role": "user", "content": "Hello"}]
PERSON = {
    "type": "object",
    "properties": {"name": {"enum": ["Ann", "Bo"]}, "age": {"enum": [1, 2]}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
#: Short: a token of the tiny model is a byte, and its context holds 512.
ONE = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": ONE}}


@pytest.fixture
async def engine_port(build: Callable[..., BuiltEngine]) -> AsyncIterator[int]:
    service = EngineService(build())
    service.start()
    server = HTTPServer(make_app(service, TOKEN))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        await server.close_all_connections()
        await asyncio.to_thread(service.stop)


@pytest.fixture
async def service(tmp_path: Path, engine_port: int) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", base_models={BASE: "/models/x"}) as running:
        compute = running.services.compute
        assert compute is not None
        await compute.base_models.observe([BaseModelReport(BASE, WEIGHTS)])
        fleet = EngineFleet(engine_port, TOKEN, "tiny/base")
        usage = UsageLog(running.services.db, compute.audit)
        compute.gateway = Gateway(compute.gateway.resolver, fleet, usage)
        yield running
        await fleet.client.close()


@pytest.fixture
def demo(service: Service) -> Client:
    return service.client("demo")


@pytest.fixture
async def client(service: Service, demo: Client) -> AsyncIterator[openai.AsyncOpenAI]:
    token = demo.headers["Authorization"].removeprefix("Bearer ")
    base_url = service.url + "v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key=token, max_retries=0) as made:
        yield made


async def test_answers_and_their_logprobs(client: openai.AsyncOpenAI) -> None:
    chat = await client.chat.completions.create(
        model="", messages=HELLO, n=3, logprobs=True, top_logprobs=2, max_tokens=6, seed=1
    )
    assert [choice.index for choice in chat.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in chat.choices}) > 1
    made = 0
    for choice in chat.choices:
        assert choice.logprobs is not None and choice.logprobs.content is not None
        entries = choice.logprobs.content
        made += len(entries)
        raw = b"".join(bytes(entry.bytes or ()) for entry in entries)
        assert raw.decode(errors="replace") == choice.message.content
        assert all(len(entry.top_logprobs) == 2 and entry.logprob <= 0 for entry in entries)
    assert chat.usage is not None and made <= chat.usage.completion_tokens <= 18
    same = await client.chat.completions.create(model="", messages=HELLO, n=3, max_tokens=6, seed=1)
    assert [c.message.content for c in same.choices] == [c.message.content for c in chat.choices]


async def test_a_stream_says_what_a_plain_answer_says(client: openai.AsyncOpenAI) -> None:
    asked = {"model": "", "prompt": ["a", "b"], "n": 2, "max_tokens": 6, "seed": 2, "logprobs": 1}
    plain = await client.completions.create(**asked)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = [chunk async for chunk in await client.completions.create(**asked, **options)]
    texts, tokens = [""] * 4, [[] for _ in range(4)]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            tokens[choice.index] += choice.logprobs.tokens if choice.logprobs else []
    assert texts == [choice.text for choice in plain.choices]
    assert tokens == [choice.logprobs.tokens for choice in plain.choices]
    assert chunks[-1].usage == plain.usage


async def test_json_that_fits_a_schema(client: openai.AsyncOpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    for stop in (None, ["never"]):
        chat = await client.chat.completions.create(
            model="", messages=HELLO, response_format=form, max_tokens=100, stop=stop, n=2
        )
        for choice in chat.choices:
            person = json.loads(choice.message.content or "")
            assert person["name"] in ("Ann", "Bo") and person["age"] in (1, 2)


async def test_a_tool_that_has_to_be_called(client: openai.AsyncOpenAI) -> None:
    named = {"type": "function", "function": {"name": "f"}}
    asked = {"model": "", "messages": HELLO, "tools": [TOOL], "max_tokens": 60, "seed": 3}
    for choice in ("required", named):
        chat = await client.chat.completions.create(**asked, tool_choice=choice)
        (call,) = chat.choices[0].message.tool_calls or ()
        assert call.function.name == "f" and call.id
        assert json.loads(call.function.arguments)["a"] in (1, 2)
        async with client.chat.completions.stream(**asked, tool_choice=choice) as stream:
            streamed = await stream.get_final_completion()
        (again,) = streamed.choices[0].message.tool_calls or ()
        assert again.function.arguments == call.function.arguments
        assert streamed.choices[0].finish_reason == chat.choices[0].finish_reason


async def test_settings_change_what_is_said(client: openai.AsyncOpenAI) -> None:
    async def said(**settings: object) -> str:
        asked = {"model": "", "prompt": "Hello", "max_tokens": 60, "temperature": 0, **settings}
        return (await client.completions.create(**asked)).choices[0].text

    plain = await said()
    assert await said() == plain
    assert await said(frequency_penalty=2, presence_penalty=2) != plain
    assert await said(extra_body={"repetition_penalty": 5}) != plain
    assert await said(logit_bias={str(ord("z")): 100}) != plain
    assert await said(stop=plain[1]) == plain[:1]
    best = await client.completions.create(
        model="", prompt="Hello", max_tokens=4, best_of=4, n=2, seed=1
    )
    assert len(best.choices) == 2 and best.usage is not None
    assert best.usage.completion_tokens > 8


async def test_a_batch_of_langchain_is_one_request(client: openai.AsyncOpenAI) -> None:
    done = await client.completions.create(model="", prompt=["a"] * 20, max_tokens=2)
    assert [choice.index for choice in done.choices] == list(range(20))


async def test_what_the_engine_refuses_names_the_field(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.completions.create(model="", prompt="a", logit_bias={"9999999": 1})
    assert "logit_bias" in caught.value.message


async def test_lorax(demo: Client) -> None:
    body = {"inputs": "Hello", "parameters": {"max_new_tokens": 6, "details": True}}
    (plain,) = await demo.json("POST", "lorax", json=body)
    details = plain["details"]
    assert details["generated_tokens"] == len(details["tokens"]) <= 6
    assert "".join(token["text"] for token in details["tokens"]) == plain["generated_text"]
    assert all(token["id"] > 0 and token["logprob"] <= 0 for token in details["tokens"])
    streamed = await demo.post("lorax/generate_stream", json=body)
    events = [json.loads(line[len("data: ") :]) for line in streamed.text.splitlines() if line]
    assert [event["token"]["id"] for event in events] == [t["id"] for t in details["tokens"]]
    assert events[-1]["generated_text"] == plain["generated_text"]
    stop = plain["generated_text"][1]
    body["parameters"] |= {"stop": [stop]}  # type: ignore[operator]
    (stopped,) = await demo.json("POST", "lorax", json=body)
    assert stopped["details"]["finish_reason"] == "stop_sequence"
    form = {"type": "json_object", "schema": PERSON}
    parameters = {"max_new_tokens": 100, "response_format": form, "do_sample": True, "best_of": 2}
    whole = await demo.json("POST", "lorax/generate", json={**body, "parameters": parameters})
    assert json.loads(whole["generated_text"])["age"] in (1, 2)

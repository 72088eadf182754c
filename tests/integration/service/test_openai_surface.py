"""OpenAI's API as its own client and others use it; the engine follows a script.

The engine itself is tested where it is (`integration/inference`); here it is what arrives at an
agent and what comes back to a client.
"""

import json
from collections.abc import AsyncIterator

import openai
import pytest

from adaptery.sealed import Frame
from adaptery_hub.gateway import answers
from support.hub_tables import BASE
from support.recorded_requests import RECORDED
from support.scripted_answers import ARGUMENTS
from support.scripted_fleet import USAGE, text
from support.served_adapters import Fleet
from support.service import Client, Service

HELLO = [{"role": "user", "content": "hi"}]
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}
ALWAYS = {"stream", "stream_options", "cache_salt"}


@pytest.fixture
async def client(service: Service, demo: Client, soap: str) -> AsyncIterator[openai.AsyncOpenAI]:
    token = demo.headers["Authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(base_url=service.url + "v1", api_key=token) as made:
        yield made


# -- what real clients send -------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
async def test_what_real_clients_send(demo: Client, fleet: Fleet, soap: str, name: str) -> None:
    path, body, fields = RECORDED[name]
    model = "" if body["model"] == "" else "@demo/soap"
    answer = await demo.post(f"v1/{path}", json={**body, "model": model})
    assert answer.status_code == 200, answer.text
    prompt = {"messages"} if path == "chat/completions" else {"prompt"}
    assert set(fleet.request()) - {"max_tokens"} == ALWAYS | prompt | fields
    if body.get("stream"):
        assert answer.text.rstrip().endswith("data: [DONE]")
    else:
        choices = answer.json()["choices"]
        prompts = body.get("prompt")
        wanted = len(prompts) if isinstance(prompts, list) else 1
        assert [c["index"] for c in choices] == list(range(wanted * body.get("n", 1)))
        assert all(choice["finish_reason"] for choice in choices)


# -- openai-python ----------------------------------------------------------------------------


async def test_a_tool_is_called_and_its_result_taken(
    client: openai.AsyncOpenAI, fleet: Fleet
) -> None:
    first = await client.chat.completions.create(
        model="soap", messages=HELLO, tools=[WEATHER], tool_choice="auto"
    )
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls" and message.content is None
    (call,) = message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("get_weather", "".join(ARGUMENTS))
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    last = await client.chat.completions.create(
        model="soap",
        messages=[*HELLO, message, result],
        tools=[WEATHER],
        tool_choice="none",
    )
    assert last.choices[0].message.content == "Hello"
    said, told = fleet.request()["messages"][1:]
    assert said["tool_calls"][0]["id"] == told["tool_call_id"] == call.id


async def test_a_streamed_call_comes_in_pieces(client: openai.AsyncOpenAI, fleet: Fleet) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    async with client.chat.completions.stream(
        model="soap", messages=HELLO, tools=[WEATHER], tool_choice=named
    ) as stream:
        events = [event async for event in stream]
        done = await stream.get_final_completion()
    pieces = [e for e in events if e.type == "tool_calls.function.arguments.delta"]
    assert "".join(piece.arguments_delta for piece in pieces) == "".join(ARGUMENTS)
    (call,) = done.choices[0].message.tool_calls or ()
    assert call.function.name == "get_weather" and call.id


async def test_several_answers_with_logprobs(client: openai.AsyncOpenAI, fleet: Fleet) -> None:
    chat = await client.chat.completions.create(
        model="soap", messages=HELLO, n=3, logprobs=True, top_logprobs=2
    )
    assert [choice.index for choice in chat.choices] == [0, 1, 2]
    for choice in chat.choices:
        assert choice.logprobs is not None and choice.logprobs.content is not None
        assert [entry.token for entry in choice.logprobs.content] == ["He", "llo"]
        assert len(choice.logprobs.content[0].top_logprobs) == 2
    done = await client.completions.create(
        model="soap", prompt=["a", "b"], n=2, best_of=3, logprobs=1
    )
    assert [choice.text for choice in done.choices] == ["Hello"] * 4
    logprobs = done.choices[3].logprobs
    assert logprobs is not None and logprobs.text_offset == [0, 2]
    assert logprobs.token_logprobs == [-0.5, -0.5]
    assert done.usage is not None and done.usage.completion_tokens == 12
    assert "rank" not in done.model_dump_json() + chat.model_dump_json()


async def test_a_stream_of_several_answers_and_its_usage(
    client: openai.AsyncOpenAI, fleet: Fleet
) -> None:
    stream = await client.chat.completions.create(
        model="soap", messages=HELLO, n=2, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    *parts, last = chunks
    assert last.choices == [] and last.usage is not None and last.usage.total_tokens == 7
    assert all("usage" in part.model_fields_set and part.usage is None for part in parts)
    for index in (0, 1):
        own = [c for part in parts for c in part.choices if c.index == index]
        assert [c.delta.role for c in own] == ["assistant", *[None] * (len(own) - 1)]
        assert "".join(c.delta.content or "" for c in own) == "Hello"
        assert [c.finish_reason for c in own][-1] == "stop"
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


async def test_json_that_fits_a_schema(client: openai.AsyncOpenAI, fleet: Fleet) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for asked in (form, {"type": "json_object"}):
        chat = await client.chat.completions.create(
            model="soap", messages=HELLO, response_format=asked
        )
        assert json.loads(chat.choices[0].message.content or "") == {"a": 1}
        assert fleet.request()["response_format"] == asked


async def test_every_setting_arrives(client: openai.AsyncOpenAI, fleet: Fleet) -> None:
    settings = {
        "temperature": 0.5,
        "top_p": 0.5,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "logit_bias": {"7": 5},
        "seed": 7,
        "stop": ["a", "b"],
        "n": 2,
    }
    extra = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1}
    await client.chat.completions.create(
        model="soap", messages=HELLO, max_completion_tokens=9, extra_body=extra, **settings
    )
    chat = fleet.request()
    await client.completions.create(
        model="soap", prompt="hi", max_tokens=9, extra_body=extra, **settings
    )
    for request in (chat, fleet.request()):
        assert request.items() >= {**settings, **extra, "max_tokens": 9}.items()


# -- what an agent may not do -----------------------------------------------------------------


async def test_an_agent_that_says_more_than_it_was_asked_is_cut_off(
    client: openai.AsyncOpenAI, fleet: Fleet
) -> None:
    fleet.says = [text("x" * 100_000), text("x" * 100_000), text("END"), USAGE]
    with pytest.raises(openai.InternalServerError) as caught:
        await client.with_options(max_retries=0).chat.completions.create(
            model="soap", messages=HELLO, max_tokens=5
        )
    assert caught.value.code == "integrity"
    stream = await client.chat.completions.create(
        model="soap", messages=HELLO, max_tokens=5, stream=True
    )
    with pytest.raises(openai.APIError, match="more than it was asked for"):
        _ = [chunk async for chunk in stream]
    assert len(fleet.closed) == 2


async def test_a_plain_answer_has_a_size(
    client: openai.AsyncOpenAI, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "WHOLE_LIMIT_BYTES", 3_000)
    fleet.says = [text("x" * 1_000)] * 5 + [USAGE]
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(model="soap", messages=HELLO)
    assert caught.value.status_code == 413 and "stream" in caught.value.message
    stream = await client.chat.completions.create(model="soap", messages=HELLO, stream=True)
    parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert len("".join(parts)) == 5_000


async def test_usage_is_not_believed_beyond_what_was_asked(
    client: openai.AsyncOpenAI, fleet: Fleet
) -> None:
    usage = Frame("usage", {"prompt_tokens": 3, "completion_tokens": 1_000_000})
    fleet.says = [text("x"), usage]
    chat = await client.chat.completions.create(model=BASE, messages=HELLO, max_tokens=5, n=2)
    assert chat.usage is not None and chat.usage.completion_tokens == 10

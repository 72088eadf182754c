"""The HTTP server as the agent and OpenAI's client see it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from openai import AsyncOpenAI

from adaptery_inference.build import BuiltEngine
from support.engine import Reference
from support.engine_server import TOKEN, events, serving
from support.waiting import eventually

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = {"messages": HELLO, "temperature": 0, "max_tokens": 8}
#: Longer than any test waits for, shorter than the context.
ENDLESS = {"messages": HELLO, "temperature": 0, "max_tokens": 450, "ignore_eos": True}


async def load_adapter(client: httpx.AsyncClient, name: str, folder: Path) -> httpx.Response:
    body = {"lora_name": name, "lora_path": str(folder)}
    return await client.post("/v1/load_lora_adapter", json=body)


async def running(client: httpx.AsyncClient) -> int:
    return (await client.get("/v1/load")).json()["running"]


ROUTES = [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/tiny%2Fbase"),
    ("GET", "/v1/load"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/v1/unload_lora_adapter"),
    ("POST", "/invocations"),
    ("POST", "/adapters"),
    ("GET", "/"),
]


async def test_every_route_but_health_asks_for_the_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health", headers={"Authorization": ""})).status_code == 200
    for header in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}"):
        for method, path in ROUTES:
            answer = await client.request(method, path, headers={"Authorization": header})
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]["code"] == "not_authenticated"


async def test_errors_have_one_shape(client: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/chat/completions", 400),
        ("GET", "/v1/models/nobody", 404),
    ):
        answer = await client.request(method, path)
        assert answer.status_code == status, (method, path)
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_chat_answer_has_text_reason_and_usage(
    client: httpx.AsyncClient, reference: Reference, build: Callable[..., BuiltEngine]
) -> None:
    answer = (await client.post("/v1/chat/completions", json=CHAT)).json()
    tokenizer = build().tokenizer
    prompt = tokenizer.encode_chat(HELLO)
    wanted = reference.greedy(prompt, 8)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "tiny/base"
    assert answer["choices"][0]["message"]["content"] == tokenizer.decode(wanted)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {
        "prompt_tokens": len(prompt),
        "completion_tokens": 8,
        "total_tokens": len(prompt) + 8,
    }


async def test_a_stream_says_the_same_as_a_whole_answer(client: httpx.AsyncClient) -> None:
    whole = (await client.post("/v1/chat/completions", json=CHAT)).json()
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"] == "text/event-stream"
        chunks = [chunk async for chunk in events(response)]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    text = "".join(choice["delta"].get("content", "") for choice in choices)
    assert text == whole["choices"][0]["message"]["content"]
    assert [c["finish_reason"] for c in choices] == [None] * (len(choices) - 1) + ["length"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]


async def test_tokens_arrive_while_later_ones_are_made(client: httpx.AsyncClient) -> None:
    body = {**ENDLESS, "stream": True}
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        seen = events(response)
        await anext(seen)
        await anext(seen)
        assert await running(client) == 1
        await seen.aclose()


async def test_a_caller_who_goes_away_frees_the_row(
    build: Callable[..., BuiltEngine],
) -> None:
    built = build()
    async with serving(built) as client:
        for stream in (True, False):
            before = built.runner.forward_passes
            body = {**ENDLESS, "stream": stream}
            request = asyncio.create_task(client.post("/v1/chat/completions", json=body))
            await eventually(lambda: running(client))
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            await eventually(lambda: not built.engine.has_work)
            assert built.runner.forward_passes - before < ENDLESS["max_tokens"]
        load = (await client.get("/v1/load")).json()
        assert load["kv_blocks_free"] == load["kv_blocks_total"]


async def test_adapters_are_loaded_listed_used_and_unloaded(
    client: httpx.AsyncClient, adapters: dict[str, Path]
) -> None:
    answers = {}
    for name, folder in adapters.items():
        assert (await load_adapter(client, name, folder)).status_code == 200
    models = (await client.get("/v1/models")).json()["data"]
    assert [m["id"] for m in models] == ["tiny/base", *sorted(adapters)]
    assert {m["parent"] for m in models} == {None, "tiny/base"}
    for name in ("", "tiny/base", *adapters):
        answer = await client.post("/v1/chat/completions", json={**CHAT, "model": name})
        answers[name] = answer.json()["choices"][0]["message"]["content"]
    assert answers[""] == answers["tiny/base"]
    assert len(set(answers.values())) == 4
    assert (await client.get("/v1/load")).json()["adapters"] == sorted(adapters)
    for status in (200, 404):
        answer = await client.post("/v1/unload_lora_adapter", json={"lora_name": "plain"})
        assert answer.status_code == status
    gone = await client.post("/v1/chat/completions", json={**CHAT, "model": "plain"})
    assert gone.status_code == 404


async def test_loading_a_name_again_is_no_error_and_changes_its_weights(
    client: httpx.AsyncClient, adapters: dict[str, Path]
) -> None:
    digests = []
    for folder in ("plain", "plain", "part"):
        answer = await load_adapter(client, "mine", adapters[folder])
        assert answer.status_code == 200
        digests.append(answer.json()["weight_digest"])
    assert digests[0] == digests[1] != digests[2]


async def test_an_adapter_that_cannot_be_loaded_is_refused(
    client: httpx.AsyncClient, adapters: dict[str, Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = {
        (await load_adapter(client, "a", tmp_path / "nowhere")).status_code: 404,
        (await load_adapter(client, "a", Path("relative"))).status_code: 404,
        (await load_adapter(client, "a", empty)).status_code: 422,
        (await load_adapter(client, "tiny/base", adapters["plain"])).status_code: 409,
    }
    assert all(found == wanted for found, wanted in refused.items())
    assert (await client.get("/v1/load")).json()["adapters"] == []


async def test_a_prompt_that_is_too_long_says_by_how_much(client: httpx.AsyncClient) -> None:
    body = {"prompt": "x" * 600, "max_tokens": 5}
    answer = await client.post("/v1/completions", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "600 tokens; the context holds 512" in error["message"]


async def test_a_full_queue_answers_429_with_a_time(build: Callable[..., BuiltEngine]) -> None:
    async with serving(build(max_rows=1, max_waiting=1)) as client:
        bodies = [{**ENDLESS, "stream": True}] * 2
        tasks = [asyncio.create_task(client.post("/v1/chat/completions", json=bodies[0]))]
        await eventually(lambda: running(client))
        tasks.append(asyncio.create_task(client.post("/v1/chat/completions", json=bodies[1])))

        async def one_waits() -> bool:
            return (await client.get("/v1/load")).json()["waiting"] == 1

        await eventually(one_waits)
        refused = await client.post("/v1/chat/completions", json=CHAT)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["error"]["code"] == "engine_queue_full"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_several_prompts_and_answers_are_numbered_in_order(
    client: httpx.AsyncClient,
) -> None:
    body = {"prompt": ["ab", "cd"], "n": 2, "seed": 3, "max_tokens": 4, "temperature": 1}
    first = (await client.post("/v1/completions", json=body)).json()
    again = (await client.post("/v1/completions", json=body)).json()
    assert [choice["index"] for choice in first["choices"]] == [0, 1, 2, 3]
    assert first["choices"] == again["choices"]
    assert first["usage"]["prompt_tokens"] == 4
    assert len({choice["text"] for choice in first["choices"]}) > 1


async def test_a_stop_string_ends_an_answer_and_is_not_in_it(client: httpx.AsyncClient) -> None:
    body = {"prompt": "Once upon", "max_tokens": 60, "temperature": 0, "ignore_eos": True}
    free = (await client.post("/v1/completions", json=body)).json()["choices"][0]
    stop = free["text"][5:8]
    held = (await client.post("/v1/completions", json={**body, "stop": stop})).json()["choices"][0]
    assert held["finish_reason"] == "stop"
    assert held["text"] == free["text"][: free["text"].index(stop)]


async def test_the_openai_client_works_unchanged(client: httpx.AsyncClient) -> None:
    openai = AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key=TOKEN)
    async with openai:
        models = await openai.models.list()
        assert [model.id for model in models.data] == ["tiny/base"]
        assert (await openai.models.retrieve("tiny/base")).id == "tiny/base"
        stream = await openai.chat.completions.create(
            model="tiny/base",
            messages=HELLO,  # pyright: ignore[reportArgumentType]
            max_completion_tokens=5,
            stream=True,
        )
        parts = [chunk async for chunk in stream]
        assert parts[-1].choices[0].finish_reason in ("length", "stop")


async def test_no_prompt_reaches_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="adaptery_inference")
    canary = "canary-4711"
    for body in ({"prompt": canary, "max_tokens": 2}, {"prompt": canary, "max_tokens": canary}):
        answer = await client.post("/v1/completions", json=body)
        assert answer.status_code in (200, 400)
        assert answer.status_code == 200 or canary not in answer.text
    assert canary not in caplog.text

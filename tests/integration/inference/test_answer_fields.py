"""What a caller may ask of an answer, over HTTP: logprobs, several answers, JSON, tools."""

import asyncio
import json
from collections.abc import Callable

import httpx
import jsonschema
import pytest
import torch
from openai import AsyncOpenAI

from adaptery.answer_shapes import AnswerHead, Usage, shape_of
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery_inference.build import BuiltEngine
from support.engine import Reference
from support.engine_server import TOKEN, events, serving

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = {"messages": HELLO, "max_tokens": 12, "seed": 5, "ignore_eos": True}
TEXT = {"prompt": "Once", "max_tokens": 12, "seed": 5, "ignore_eos": True}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"enum": ["Ann", "Bo"]},
        "ages": {"type": "array", "items": {"enum": [1, 22]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["name", "ages"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}


def tool(name: str, parameters: object) -> dict[str, object]:
    function = {"name": name, "description": "A tool.", "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS = [tool("save", PERSON), tool("ping", {"type": "object", "properties": {}, "required": []})]


async def ask(client: httpx.AsyncClient, body: dict[str, object]) -> dict:
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def chunks(client: httpx.AsyncClient, body: dict[str, object]) -> list[dict]:
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    async with client.stream("POST", path, json={**body, "stream": True}) as response:
        return [chunk async for chunk in events(response)]


async def refused(client: httpx.AsyncClient, body: dict[str, object]) -> str:
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    answer = await client.post(path, json=body)
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]["message"]


async def test_chat_logprobs_tell_each_token_and_its_alternatives(
    client: httpx.AsyncClient, reference: Reference, build: Callable[..., BuiltEngine]
) -> None:
    body = {**CHAT, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    (choice,) = (await ask(client, body))["choices"]
    entries = choice["logprobs"]["content"]
    tokens = build().tokenizer.encode_chat(HELLO)
    raw = bytes(byte for entry in entries for byte in entry["bytes"])
    assert raw.decode(errors="replace") == choice["message"]["content"]
    for entry in entries:
        truth = reference.logits(tokens).log_softmax(-1)
        best = truth.topk(3)
        assert entry["logprob"] == pytest.approx(float(best.values[0]), abs=1e-3)
        found = torch.tensor([other["logprob"] for other in entry["top_logprobs"]])
        torch.testing.assert_close(found, best.values, rtol=1e-3, atol=1e-3)
        assert entry["top_logprobs"][0]["token"] == entry["token"]
        tokens.append(int(best.indices[0]))


@pytest.mark.parametrize(
    "body",
    [
        {**CHAT, "logprobs": True, "top_logprobs": 2, "return_token_ids": True},
        {**TEXT, "logprobs": 2, "return_token_ids": True},
        {**TEXT, "logprobs": 0, "stop": "a", "max_tokens": 60, "n": 2},
        {**CHAT, "logprobs": True, "response_format": FORMAT, "max_tokens": 60},
    ],
    ids=["chat", "completions", "stop strings", "json"],
)
async def test_chunks_add_up_to_the_whole_answer_logprobs_and_all(
    body: dict[str, object], client: httpx.AsyncClient
) -> None:
    whole = (await ask(client, body))["choices"]
    for index, choice in enumerate(whole):
        parts = [
            part
            for chunk in await chunks(client, body)
            for part in chunk["choices"]
            if part["index"] == index
        ]
        chat = "message" in choice
        texts = [part["delta"].get("content") if chat else part["text"] for part in parts]
        assert "".join(text or "" for text in texts) == (
            choice["message"]["content"] if chat else choice["text"]
        )
        logprobs = [part["logprobs"] for part in parts if part["logprobs"]]
        for key, value in choice["logprobs"].items():
            if isinstance(value, list):
                assert [item for each in logprobs for item in each[key]] == value
        for key in ("finish_reason", "stop_reason"):
            assert parts[-1][key] == choice[key]
        ids = [token for part in parts for token in part.get("token_ids", [])]
        assert ids == choice.get("token_ids", [])


async def test_completion_logprobs_have_openais_four_lists(client: httpx.AsyncClient) -> None:
    (choice,) = (await ask(client, {**TEXT, "logprobs": 2, "max_tokens": 30}))["choices"]
    logprobs = choice["logprobs"]
    assert set(logprobs) == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
    assert {len(value) for value in logprobs.values()} == {30}
    assert all(2 <= len(top) <= 3 for top in logprobs["top_logprobs"])
    assert logprobs["text_offset"] == sorted(logprobs["text_offset"])
    for token, value, top in zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    ):
        assert top[token] == value
    assert (await ask(client, {**TEXT, "logprobs": 0}))["choices"][0]["logprobs"][
        "top_logprobs"
    ] is None


async def test_no_logprobs_where_none_are_asked_for(client: httpx.AsyncClient) -> None:
    assert (await ask(client, CHAT))["choices"][0]["logprobs"] is None
    assert (await ask(client, {**TEXT, "return_token_ids": True}))["choices"][0]["token_ids"]


async def test_answers_of_one_request_differ_and_can_be_had_again(
    client: httpx.AsyncClient,
) -> None:
    body = {**CHAT, "n": 3}
    first, again = await ask(client, body), await ask(client, body)
    texts = [choice["message"]["content"] for choice in first["choices"]]
    assert texts == [choice["message"]["content"] for choice in again["choices"]]
    assert len(set(texts)) == 3
    assert first["usage"]["completion_tokens"] == 36


@pytest.mark.parametrize("stream", [False, True])
async def test_the_best_answers_are_those_that_are_likeliest_per_token(
    client: httpx.AsyncClient, stream: bool
) -> None:
    body = {**TEXT, "prompt": ["Once", "Twice"], "max_tokens": 6}
    every = (await ask(client, {**body, "n": 4, "logprobs": 0}))["choices"]
    wanted: list[str] = []
    for start in (0, 4):
        made = sorted(every[start : start + 4], key=lambda c: -sum(c["logprobs"]["token_logprobs"]))
        wanted += [choice["text"] for choice in made[:2]]
    best = {**body, "n": 2, "best_of": 4, "stream_options": {"include_usage": True}}
    if stream:
        found = await chunks(client, best)
        texts = [""] * 4
        for choice in (choice for chunk in found for choice in chunk["choices"]):
            texts[choice["index"]] += choice["text"]
        usage = found[-1]["usage"]
    else:
        answer = await ask(client, best)
        texts, usage = [choice["text"] for choice in answer["choices"]], answer["usage"]
        assert all(choice["logprobs"] is None for choice in answer["choices"])
    assert texts == wanted
    assert usage["completion_tokens"] == 2 * 4 * 6


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_fits_the_schema_or_was_cut(
    client: httpx.AsyncClient, stream: bool
) -> None:
    for seed in range(8):
        body = {**CHAT, "seed": seed, "response_format": FORMAT, "max_tokens": 20 + 5 * seed}
        if stream:
            parts = [choice for chunk in await chunks(client, body) for choice in chunk["choices"]]
            text = "".join(part["delta"].get("content", "") for part in parts)
            reason = parts[-1]["finish_reason"]
        else:
            (choice,) = (await ask(client, body))["choices"]
            text, reason = choice["message"]["content"], choice["finish_reason"]
        if reason == "stop":
            jsonschema.validate(json.loads(text), PERSON)
        else:
            assert reason == "length"
            assert seed < 4


async def test_completions_are_held_to_a_form_as_well(client: httpx.AsyncClient) -> None:
    body = {**TEXT, "response_format": FORMAT, "max_tokens": 60}
    jsonschema.validate(json.loads((await ask(client, body))["choices"][0]["text"]), PERSON)


async def test_rows_with_a_grammar_and_rows_without_share_their_forward_passes(
    build: Callable[..., BuiltEngine],
) -> None:
    built = build()
    free, held = {**CHAT, "max_tokens": 40}, {**CHAT, "max_tokens": 40, "response_format": FORMAT}
    async with serving(built) as client:
        alone = [await ask(client, body) for body in (free, held)]
        before = built.runner.forward_passes
        together = await asyncio.gather(*(ask(client, body) for body in [free, held] * 3))
        passes = built.runner.forward_passes - before
    for number, answer in enumerate(together):
        assert answer["choices"] == alone[number % 2]["choices"]
    assert passes < 3 * 41


async def test_a_schema_that_cannot_be_followed_names_its_field(client: httpx.AsyncClient) -> None:
    schema = {"type": "string", "not": {"const": "a"}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert "response_format: cannot be followed" in await refused(
        client, {**CHAT, "response_format": wanted}
    )
    forced = {"tools": [tool("a", schema)], "tool_choice": "required"}
    assert "tools: cannot be followed" in await refused(client, {**CHAT, **forced})


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "save"}}])
async def test_a_forced_call_is_a_call_of_a_tool(roomy: httpx.AsyncClient, choice: object) -> None:
    names = set()
    for seed in range(6):
        body = {**CHAT, "seed": seed, "tools": TOOLS, "tool_choice": choice, "max_tokens": 200}
        (found,) = (await ask(roomy, body))["choices"]
        assert found["finish_reason"] == "tool_calls"
        assert found["message"]["content"] is None
        (call,) = found["message"]["tool_calls"]
        names.add(call["function"]["name"])
        arguments = json.loads(call["function"]["arguments"])
        if call["function"]["name"] == "save":
            jsonschema.validate(arguments, PERSON)
        assert call["type"] == "function"
        assert call["id"].startswith("call_")
    assert "save" in names
    assert names <= ({"save", "ping"} if choice == "required" else {"save"})


async def test_a_streamed_call_comes_in_pieces_that_add_up(roomy: httpx.AsyncClient) -> None:
    named = {"type": "function", "function": {"name": "save"}}
    body = {**CHAT, "tools": TOOLS, "tool_choice": named, "max_tokens": 200, "n": 2}
    whole = (await ask(roomy, body))["choices"]
    found = [part for chunk in await chunks(roomy, body) for part in chunk["choices"]]
    for number, choice in enumerate(whole):
        parts = [part for part in found if part["index"] == number]
        pieces = [piece for part in parts for piece in part["delta"].get("tool_calls", [])]
        assert {piece["index"] for piece in pieces} == {0}
        assert "id" in pieces[0]
        assert pieces[0]["function"]["name"] == "save"
        assert not any("id" in piece or "name" in piece["function"] for piece in pieces[1:])
        arguments = "".join(piece["function"]["arguments"] for piece in pieces)
        assert arguments == choice["message"]["tool_calls"][0]["function"]["arguments"]
        assert len(pieces) > 5
        assert parts[-1]["finish_reason"] == "tool_calls"


async def test_a_model_that_may_call_answers_freely(roomy: httpx.AsyncClient) -> None:
    (choice,) = (await ask(roomy, {**CHAT, "tools": TOOLS}))["choices"]
    assert choice["message"]["content"]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "length"


async def test_calls_and_results_of_tools_are_taken_as_messages(roomy: httpx.AsyncClient) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "ping", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "pong"},
    ]
    short = await ask(roomy, {**CHAT, "messages": HELLO, "tools": TOOLS})
    longer = await ask(roomy, {**CHAT, "messages": messages, "tools": TOOLS})
    assert longer["usage"]["prompt_tokens"] > short["usage"]["prompt_tokens"]
    call["function"]["arguments"] = "a secret"
    message = await refused(roomy, {**CHAT, "messages": messages})
    assert "messages.1.tool_calls.0.function.arguments" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({**CHAT, "top_logprobs": 3}, "top_logprobs"),
        ({**CHAT, "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({**TEXT, "logprobs": 6}, "logprobs"),
        ({**TEXT, "best_of": 2, "n": 3}, "best_of"),
        ({**TEXT, "best_of": 17}, "best_of"),
        ({**TEXT, "prompt": ["a"] * 40, "n": 2}, "prompt"),
        ({**CHAT, "n": 17}, "n"),
        ({**CHAT, "n": 0}, "n"),
        ({**CHAT, "frequency_penalty": 2.5}, "frequency_penalty"),
        ({**CHAT, "presence_penalty": -2.5}, "presence_penalty"),
        ({**CHAT, "repetition_penalty": 0}, "repetition_penalty"),
        ({**CHAT, "min_p": 2}, "min_p"),
        ({**CHAT, "logit_bias": {"5": 101}}, "logit_bias"),
        ({**CHAT, "logit_bias": {"a secret": 1}}, "logit_bias"),
        ({**CHAT, "logit_bias": {"99999": 1}}, "logit_bias"),
        ({**CHAT, "logit_bias": {str(i): 1 for i in range(301)}}, "logit_bias"),
        ({**CHAT, "response_format": {"type": "a secret"}}, "response_format.type"),
        ({**CHAT, "response_format": {"type": "json_schema"}}, "response_format"),
        ({**CHAT, "tool_choice": "required"}, "tool_choice"),
        ({**CHAT, "tools": [{"type": "a secret"}]}, "tools.0.type"),
        ({**CHAT, "functions": [{"name": "a"}]}, "functions"),
        ({**CHAT, "guided_json": {"type": "object"}}, "guided"),
        ({**TEXT, "echo": True}, "echo"),
        ({**TEXT, "suffix": "a secret"}, "suffix"),
        ({**TEXT, "use_beam_search": True}, "use_beam_search"),
    ],
)
async def test_a_value_that_is_not_taken_is_refused_by_name(
    body: dict[str, object], where: str, client: httpx.AsyncClient
) -> None:
    message = await refused(client, body)
    assert where in message
    assert "secret" not in message


async def test_fields_that_change_nothing_are_taken(client: httpx.AsyncClient) -> None:
    neutral = {
        "n": 1,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "repetition_penalty": 1,
        "logit_bias": {},
        "response_format": {"type": "text"},
        "tools": [],
        "top_k": -1,
        "min_p": 0,
        "stop": [],
    }
    plain = await ask(client, CHAT)
    assert (await ask(client, {**CHAT, **neutral}))["choices"] == plain["choices"]
    nulls = dict.fromkeys(neutral)
    assert (await ask(client, {**CHAT, **nulls}))["choices"] == plain["choices"]
    more = {"echo": False, "best_of": 1, "suffix": None, "use_beam_search": False}
    plain_text = await ask(client, TEXT)
    assert (await ask(client, {**TEXT, **more}))["choices"] == plain_text["choices"]


async def test_penalties_and_bias_change_the_answer(client: httpx.AsyncClient) -> None:
    body = {**TEXT, "temperature": 0, "max_tokens": 40, "return_token_ids": True}
    plain = (await ask(client, body))["choices"][0]["token_ids"]
    for more in ({"frequency_penalty": 2}, {"presence_penalty": 2}, {"repetition_penalty": 1.5}):
        found = (await ask(client, {**body, **more}))["choices"][0]["token_ids"]
        assert len(set(found)) > len(set(plain)), more
    banned = {**body, "logit_bias": {str(plain[0]): -100}}
    assert plain[0] not in (await ask(client, banned))["choices"][0]["token_ids"]


async def test_openais_client_reads_calls_logprobs_and_parsed_answers(
    roomy: httpx.AsyncClient,
) -> None:
    async with AsyncOpenAI(base_url=f"{roomy.base_url}/v1", api_key=TOKEN) as openai:
        answer = await openai.chat.completions.create(
            model="tiny/base",
            messages=HELLO,  # pyright: ignore[reportArgumentType]
            tools=TOOLS,  # pyright: ignore[reportArgumentType]
            tool_choice="required",
            logprobs=True,
            top_logprobs=1,
            max_completion_tokens=200,
        )
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls
        assert choice.logprobs and choice.logprobs.content
        async with openai.chat.completions.stream(
            model="tiny/base",
            messages=HELLO,  # pyright: ignore[reportArgumentType]
            response_format=FORMAT,  # pyright: ignore[reportArgumentType]
            max_completion_tokens=200,
        ) as stream:
            final = await stream.get_final_completion()
        jsonschema.validate(json.loads(final.choices[0].message.content or ""), PERSON)


@pytest.mark.parametrize(
    "body",
    [
        {**CHAT, "logprobs": True, "top_logprobs": 2, "n": 2},
        {**CHAT, "tools": TOOLS, "tool_choice": "required", "max_tokens": 200, "logprobs": True},
        {**CHAT, "response_format": FORMAT, "max_tokens": 60},
        {**TEXT, "logprobs": 2, "n": 2, "best_of": 3},
    ],
    ids=["several", "tools", "json", "best"],
)
async def test_what_others_rebuild_of_the_chunks_is_the_whole_answer(
    body: dict[str, object], roomy: httpx.AsyncClient
) -> None:
    sent = {**body, "temperature": 1.5}
    schema = ChatRequest if "messages" in body else CompletionRequest
    request = schema.model_validate(sent)
    shape = shape_of(request, tokens=200)
    wanted = await ask(roomy, sent)
    streamed = {**request.engine_request(""), "ignore_eos": True}
    deltas = [delta for chunk in await chunks(roomy, streamed) for delta in shape.read(chunk)]
    head = AnswerHead("rq", 0, "model")
    rebuilt = shape.whole(head, deltas, Usage.read(wanted["usage"]))
    for found, choice in zip(rebuilt["choices"], wanted["choices"], strict=True):  # pyright: ignore[reportArgumentType]
        assert found["finish_reason"] == choice["finish_reason"]
        if choice["logprobs"]:
            for key in ("content", "tokens", "token_logprobs"):
                assert found["logprobs"].get(key) == choice["logprobs"].get(key)
        if schema is CompletionRequest:
            assert found["text"] == choice["text"]
        else:
            assert found["message"]["content"] == choice["message"]["content"]
            calls = [
                [call["function"] for call in each["message"].get("tool_calls", [])]
                for each in (found, choice)
            ]
            assert calls[0] == calls[1]

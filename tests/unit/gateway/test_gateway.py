"""The gateway's course: route, retry before the first token, account, leave no content."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from adaptery.errors import (
    EngineBusyError,
    IntegrityError,
    InvalidInputError,
    NoAgentError,
    RefusedError,
)
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery.sealed import Frame
from adaptery_hub import audit
from adaptery_hub.database import tables
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.gateway import Gateway, InferOrder
from adaptery_hub.limits import Limit, Limits
from support.hub_tables import BASE
from support.scripted_fleet import USAGE, ScriptedFleet, text, view, words

if TYPE_CHECKING:
    from conftest import Bench

CANARY = "canary-7f3a"
ASKED = ChatRequest.model_validate({"messages": [{"role": "user", "content": CANARY}]})
WHOLE = [text("He"), text("llo", "stop"), USAGE]


async def ask(bench: "Bench", request: ChatRequest | CompletionRequest = ASKED):
    await bench.hub.bind()
    identity = await bench.hub.identity("demo")
    return await bench.gateway.open(identity, request, "rq_1")


async def usage_rows(bench: "Bench") -> list:
    query = sa.select(tables.usage)
    return await bench.hub.database.read(lambda c: list(c.execute(query).mappings()))


async def test_a_plain_answer_with_usage_and_one_row(bench: "Bench") -> None:
    bench.fleet.scripts["ag_a"] = WHOLE
    answer = await (await ask(bench)).whole()
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    (row,) = await usage_rows(bench)
    assert (row["outcome"], row["completion_tokens"], row["agent_id"]) == ("completed", 2, "ag_a")


async def test_a_stream_ends_with_usage_only_if_asked(bench: "Bench") -> None:
    bench.fleet.scripts["ag_a"] = WHOLE
    plain = [json.loads(chunk) async for chunk in (await ask(bench)).chunks()]
    assert all(chunk["choices"] for chunk in plain)
    body = ASKED.model_dump() | {"stream": True, "stream_options": {"include_usage": True}}
    request = ChatRequest.model_validate(body)
    counted = [json.loads(chunk) async for chunk in (await ask(bench, request)).chunks()]
    assert counted[-1]["choices"] == [] and counted[-1]["usage"]["total_tokens"] == 5


@pytest.mark.parametrize("error", [NoAgentError(), EngineBusyError(), RefusedError()])
async def test_another_agent_is_asked_before_the_first_token(bench: "Bench", error) -> None:
    bench.fleet.scripts = {"ag_a": [error], "ag_b": WHOLE}
    answer = await (await ask(bench)).whole()
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert [agent for agent, _ in bench.fleet.asked] == ["ag_a", "ag_b"]


async def test_after_the_first_token_nothing_is_begun_again(bench: "Bench") -> None:
    bench.fleet.scripts = {"ag_a": [text("He"), IntegrityError()], "ag_b": WHOLE}
    answer = await ask(bench)
    with pytest.raises(IntegrityError):
        await answer.whole()
    assert len(bench.fleet.asked) == 1
    (row,) = await usage_rows(bench)
    assert row["outcome"] == "integrity"


async def test_a_fault_of_the_request_is_told_as_it_is_and_not_tried_elsewhere(
    bench: "Bench",
) -> None:
    too_long = InvalidInputError("The prompt has more tokens than the model can take.")
    bench.fleet.scripts = {"ag_a": [too_long], "ag_b": WHOLE}
    with pytest.raises(InvalidInputError, match="more tokens"):
        await ask(bench)
    assert len(bench.fleet.asked) == 1


async def test_refusals_of_agents_do_not_reach_the_caller(bench: "Bench") -> None:
    bench.fleet.scripts = {"ag_a": [RefusedError()]}
    with pytest.raises(NoAgentError):
        await ask(bench)


async def test_without_agents_the_caller_is_told_to_try_later(bench: "Bench") -> None:
    with pytest.raises(NoAgentError) as caught:
        await ask(bench)
    assert caught.value.retry_after_seconds is not None
    assert await usage_rows(bench) == []


async def test_a_base_model_that_an_agent_converts_is_there_soon(bench: "Bench") -> None:
    class Preparing(ScriptedFleet):
        def views(self) -> list[AgentView]:
            seen = view("ag_a")
            beat = replace(seen.beat, base_models=(), preparing=frozenset({BASE}))
            return [replace(seen, beat=beat)]

    fleet = Preparing({})
    gateway = Gateway(bench.gateway.resolver, fleet, bench.gateway._usage)
    await bench.hub.bind()
    with pytest.raises(NoAgentError, match="preparing this base model"):
        await gateway.open(await bench.hub.identity("demo"), ASKED, "rq_1")
    assert fleet.asked == []


async def test_a_caller_who_leaves_frees_the_agent_and_is_accounted(bench: "Bench") -> None:
    bench.fleet.scripts = {"ag_a": [text("a"), text("b"), text("c"), USAGE]}
    answer = await ask(bench)
    async with aclosing(answer.chunks()) as chunks:
        await anext(chunks)
    assert bench.fleet.closed == ["ag_a"]
    (row,) = await usage_rows(bench)
    assert row["outcome"] == "cancelled"


async def test_who_leaves_before_the_end_pays_for_what_came(bench: "Bench") -> None:
    counted = Frame("data", {**text("b, and more").value, "made": 7})
    bench.fleet.scripts = {"ag_a": [text("a"), counted, text("c"), USAGE]}
    prompt = ChatRequest.model_validate({"messages": [{"role": "user", "content": "x" * 4000}]})
    for taken, made in ((1, 1), (2, 7), (3, 8)):
        async with aclosing((await ask(bench, prompt)).chunks()) as chunks:
            for _ in range(taken):
                await anext(chunks)
        row = (await usage_rows(bench))[-1]
        assert (row["outcome"], row["completion_tokens"]) == ("cancelled", made)
        assert row["prompt_tokens"] >= 1000
    lying = Frame("data", {**text("b").value, "made": 10**12})
    bench.fleet.scripts = {"ag_a": [lying, USAGE]}
    async with aclosing((await ask(bench, prompt)).chunks()) as chunks:
        await anext(chunks)
    assert (await usage_rows(bench))[-1]["completion_tokens"] == 512, "no more than was asked for"


async def test_an_agent_that_breaks_the_gateway_keeps_nothing(bench: "Bench") -> None:
    class Broken(ScriptedFleet):
        async def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
            raise ZeroDivisionError
            yield

    fleet, limits = Broken({"ag_a": []}), Limits(bench.hub.database, user=Limit(answers=1))
    gateway = Gateway(bench.gateway.resolver, fleet, bench.gateway._usage, limits=limits)
    await bench.hub.bind()
    identity = await bench.hub.identity("demo")
    for number in range(2):
        with pytest.raises(ZeroDivisionError):
            await gateway.open(identity, ASKED, f"rq_{number}")
    assert not limits._running and not gateway._places._running
    assert {row["outcome"] for row in await usage_rows(bench)} == {"internal"}


async def test_several_prompts(bench: "Bench") -> None:
    frames = [words("a", 0, "stop"), words("b", 1, "stop"), USAGE]
    bench.fleet.scripts = {"ag_a": frames}
    request = CompletionRequest.model_validate({"prompt": ["x", "y"]})
    answer = await (await ask(bench, request)).whole()
    assert [choice["text"] for choice in answer["choices"]] == ["a", "b"]
    assert answer["object"] == "text_completion"


async def test_no_content_is_in_the_database(bench: "Bench") -> None:
    bench.fleet.scripts = {"ag_a": [text(CANARY, "stop"), USAGE]}
    await (await ask(bench)).whole()
    query = sa.select(tables.audit).order_by(tables.audit.c.seq)
    rows = await bench.hub.database.read(lambda c: list(c.execute(query).mappings()))
    audit.verify(rows)
    assert any(row["action"] == "infer" for row in rows)
    assert CANARY not in json.dumps([dict(row) for row in rows], default=str)
    folder = bench.hub.database.engine.url.database
    assert folder is not None
    for path in Path(folder).parent.iterdir():
        assert CANARY.encode() not in path.read_bytes(), path

"""The agent as a process, over a real broker, against a scripted service."""

import asyncio
import base64
import json
import subprocess
import sys
from contextlib import aclosing

import pytest

from adaptery.errors import NoAgentError, NotFoundError, RefusedError
from adaptery.ids import new_id
from adaptery_network.agent.engine import ENGINE_MARK
from adaptery_network.agent.processes import find_marked
from support.agent_side.folders import make_adapter
from support.agent_side.specs import BASE_DIGEST, make_spec
from support.agent_side.workers import workers_of
from support.waiting import eventually

from .conftest import join_and_run, live

CANARY = "canary-19ab7f"
LONG = 60


def workers(spec):
    return workers_of(spec.attempt)


def engines(agent):
    return find_marked({ENGINE_MARK: str(agent.state / "engines" / "tiny")})


def offer_inputs(desk):
    desk.offered = {
        "inputs/0/manifest.json": b"{}",
        "inputs/0/data-00000.parquet": CANARY.encode() * 50_000,
    }
    return desk


def text_of(frames):
    return "".join(
        choice["delta"].get("content", "")
        for frame in frames
        if frame.type == "data"
        for choice in frame.value["choices"]
    )


async def answer(service, body):
    async with aclosing(service.ask(body)) as frames:
        return [frame async for frame in frames]


async def test_from_join_to_a_trained_adapter_that_answers_and_a_spy_reads_nothing(network):
    broker, service, agent = network
    spy, heard = await broker.spy()
    await join_and_run(service, agent, "finish")
    assert not (agent.state / "join.token").exists()
    beat = service.beats[-1]
    assert beat["base_models"] == [{"name": "tiny", "weight_digest": BASE_DIGEST}]
    assert beat["slots"] == {"workers": 1, "free": 1}
    spec = make_spec()
    desk = offer_inputs(service.desk(spec.attempt))
    assert await service.order(spec) == {"accepted": True}
    await eventually(lambda: desk.finish, timeout_seconds=LONG)
    assert desk.finish["outcome"] == "completed"
    adapter = new_id("ad"), desk.finish["adapter"]["weight_digest"]
    service.desk(adapter[0])
    frames = await answer(service, service.question(CANARY, adapter, max_tokens=50))
    assert text_of(frames).endswith(f": {CANARY} " + " ".join(map(str, range(50))))
    assert frames[-1].type == "usage"
    assert service.desks[adapter[0]].counts == {}, "trained here, so it was here already"
    base = await answer(service, service.question(CANARY))
    assert "asked tiny" in text_of(base)
    await eventually(lambda: adapter[1] in service.beats[-1]["engine"]["adapters"])
    await spy.close()
    forms = (CANARY.encode(), base64.b64encode(CANARY.encode())[:-4], b"You asked")
    assert len(heard) > 20
    assert not [message for message in heard if any(form in message for form in forms)]
    assert CANARY not in agent.log.read_text()
    assert await agent.stop() == 0
    assert not engines(agent)


async def test_an_adapter_is_fetched_over_its_session_and_a_reader_who_leaves_frees_the_row(
    network, tmp_path
):
    _, service, agent = network
    await join_and_run(service, agent, "finish")
    folder = tmp_path / "of-service"
    adapter = new_id("ad"), make_adapter(folder, 2.0)
    desk = service.desk(adapter[0])
    desk.offer(folder, "adapter")
    frames = await answer(service, service.question("hello", adapter))
    assert "hello" in text_of(frames)
    assert desk.counts["read"] >= 2
    async with aclosing(service.ask(service.question("slowly", adapter, max_tokens=400))) as left:
        await anext(left)
    notes = agent.state / "engines" / "tiny" / "engine-events"
    await eventually(lambda: "reader left" in notes.read_text())
    with pytest.raises(RefusedError):
        other = service.grant_for(new_id("ad"), "infer", adapter[1])
        async with aclosing(service.ask(service.question("x", adapter), other)) as frames:
            await anext(frames)
    unknown = service.question("x", adapter)
    unknown["base_model"]["weight_digest"] = "sha256:" + "e" * 64
    with pytest.raises(NotFoundError):
        await answer(service, unknown)


async def test_a_killed_agent_adopts_its_worker_when_it_comes_back(network):
    _, service, agent = network
    await join_and_run(service, agent, "gated")
    spec = make_spec()
    desk = offer_inputs(service.desk(spec.attempt))
    await service.order(spec)
    await eventually(lambda: (agent.work(spec) / "ticks").exists(), timeout_seconds=LONG)
    await agent.kill()
    (worker,) = workers(spec)
    await agent.start()
    await live(service)
    with pytest.raises(NoAgentError):
        await service.order(make_spec())
    assert workers(spec) == [worker]
    (agent.models / "tiny" / "go").touch()
    await eventually(lambda: desk.finish, timeout_seconds=LONG)
    assert desk.finish["outcome"] == "completed"
    assert sorted(desk.events) == list(range(1, len(desk.events) + 1))
    await eventually(lambda: not list((agent.state / "attempts").iterdir()))


async def test_what_was_saved_is_handed_in_when_agent_and_worker_are_killed(network):
    _, service, agent = network
    await join_and_run(service, agent, "hang")
    spec = make_spec()
    desk = offer_inputs(service.desk(spec.attempt))
    await service.order(spec)
    await eventually(lambda: (agent.work(spec) / "ticks").exists(), timeout_seconds=LONG)
    await agent.kill()
    assert len(engines(agent)) == 1
    with pytest.raises(NoAgentError):
        await service.order(make_spec())
    for worker in workers(spec):
        worker.kill()
    await agent.start()
    await live(service)
    await eventually(lambda: desk.finish, timeout_seconds=LONG)
    assert desk.finish["outcome"] == "lost"
    assert not workers(spec)
    assert len(engines(agent)) == 1
    assert desk.commits[-1]["folder"] == "checkpoints/2"
    resume = {"step": 2, "digest": "sha256:" + "0" * 64}
    again = make_spec(job=spec.job, fencing_token=2, resume_from=resume)
    second = offer_inputs(service.desk(again.attempt, 2))
    for path, data in desk.received.items():
        if path.startswith("checkpoints/2/"):
            second.offered[path.replace("checkpoints/2/", "checkpoint/")] = bytes(data)
    await service.order(again)
    await eventually(lambda: second.finish, timeout_seconds=LONG)
    assert second.finish["outcome"] == "completed"
    assert second.events[1]["resumed_step"] == 2


async def test_a_broker_that_dies_in_the_middle_costs_nothing(network):
    broker, service, agent = network
    await join_and_run(service, agent, "gated")
    spec = make_spec()
    desk = offer_inputs(service.desk(spec.attempt))
    await service.order(spec)
    await eventually(lambda: (agent.work(spec) / "ticks").exists(), timeout_seconds=LONG)
    await broker.kill()
    await broker.start()
    (agent.models / "tiny" / "go").touch()
    await eventually(lambda: desk.finish, timeout_seconds=LONG)
    assert desk.finish["outcome"] == "completed"
    assert desk.counts["commit"] == 2
    await live(service)


async def test_sigterm_hands_in_what_was_saved_and_leaves_no_process(network):
    _, service, agent = network
    await join_and_run(service, agent, "hang")
    spec = make_spec()
    desk = offer_inputs(service.desk(spec.attempt))
    await service.order(spec)
    await eventually(lambda: (agent.work(spec) / "ticks").exists(), timeout_seconds=LONG)
    assert await agent.stop() == 0
    assert desk.finish["outcome"] == "lost"
    assert desk.commits[-1]["folder"] == "checkpoints/3"
    assert not workers(spec)
    assert not engines(agent)
    assert not list((agent.state / "attempts").iterdir())


async def test_cancelling_reaches_the_worker(network):
    _, service, agent = network
    await join_and_run(service, agent, "hang")
    spec = make_spec()
    desk = offer_inputs(service.desk(spec.attempt))
    await service.order(spec)
    await eventually(lambda: desk.events, timeout_seconds=LONG)
    body = {"op": "cancel", "attempt": spec.attempt}
    grant = service.grant_for(spec.job, "train")
    assert await service.caller.call(service.card, "train", grant, body, 20) == {"ok": True}
    await eventually(lambda: desk.finish, timeout_seconds=LONG)
    assert desk.finish["outcome"] == "cancelled"


async def test_an_operator_joins_runs_and_looks_with_the_command_line(network):
    broker, service, agent = network
    agent.behave("finish")

    async def adaptery(*words):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "adaptery.commands",
            "agent",
            *words,
            "--state",
            str(agent.state),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    code, _, err = await adaptery("status")
    assert code == 1
    assert "No agent runs" in err
    token = agent.state.parent / "token"
    token.write_text(service.mint_token())
    code, out, err = await adaptery(
        "join", broker.url, "--token-file", str(token), "--worker-slots", "2"
    )
    assert code == 0, err
    assert service.card.agent in out
    assert service.card.capabilities["worker_slots"] == 2
    code, _, err = await adaptery("join", broker.url, "--token-file", str(token))
    assert code == 1
    assert "refused" in err
    await agent.start()
    await live(service)
    code, out, _ = await adaptery("status")
    assert code == 0
    assert "connected" in out
    assert "slots: 2, free: 2" in out
    assert f"models folder: {agent.state}" in out
    assert json.loads((await adaptery("status", "--json"))[1])["agent"] == service.card.agent
    code, _, err = await adaptery("run")
    assert code == 1
    assert "Another agent runs" in err


async def test_an_agent_that_starts_before_its_broker_waits_for_it(network):
    broker, service, agent = network
    await join_and_run(service, agent, "finish")
    assert await agent.stop() == 0
    await broker.kill()
    await agent.start()
    await eventually(lambda: "no broker answers yet" in agent.log.read_text(), timeout_seconds=LONG)
    await broker.start()
    await live(service)

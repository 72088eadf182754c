"""The agent with the real worker and engine on a tiny model: they speak as it expects."""

import json
import os
import signal
from contextlib import aclosing

import pytest

from adaptery.ids import new_id
from adaptery.records import Record
from support.agent_side.specs import make_spec
from support.agent_side.workers import workers_of
from support.version_folders import write_version
from support.waiting import eventually
from tiny import build_tiny_model, tiny_records

from .conftest import join_and_run

LONG = 150


def text_of(frames):
    return "".join(
        choice["delta"].get("content") or ""
        for frame in frames
        if frame.type == "data"
        for choice in frame.value["choices"]
    )


async def ask(service, question):
    async with aclosing(service.ask(question)) as frames:
        return [frame async for frame in frames]


@pytest.mark.slow
async def test_a_job_that_is_killed_once_trains_an_adapter_that_answers(network, tmp_path):
    _, service, agent = network
    build_tiny_model(agent.source)
    config = {"base_models": {"tests/tiny": str(agent.source)}, "heartbeat_seconds": 0.5}
    (agent.state / "agent.json").write_text(json.dumps(config))
    await join_and_run(service, agent, "unused")
    base = service.beats[-1]["base_models"][0]
    records = [Record.from_dict(record) for record in tiny_records()]
    version = write_version(tmp_path / "version", records)
    optim = {
        "learning_rate": 0.01,
        "batch_size": 4,
        "gradient_accumulation": 1,
        "max_steps": 40,
        "logging_steps": 1,
        "save_steps": 5,
        "precision": "fp32",
    }
    parts = {"base_model": base, "inputs": [version], "optim": optim}
    parts |= {"limits": {"wall_seconds": 600, "memory_bytes": 8 << 30, "disk_bytes": 1 << 30}}
    first = make_spec(**parts)
    desk = service.desk(first.attempt)
    desk.offer(tmp_path / "version", "inputs/0")
    await service.order(first)
    await eventually(lambda: desk.commits or desk.finish, timeout_seconds=LONG)
    assert not desk.finish, desk.finish
    for worker in workers_of(first.attempt):
        os.kill(worker.pid, signal.SIGKILL)
    await eventually(lambda: desk.finish, timeout_seconds=LONG)
    assert desk.finish["outcome"] == "lost"
    saved = desk.commits[-1]
    resume = {"step": saved["step"], "digest": saved["digest"]}
    second = make_spec(job=first.job, fencing_token=2, resume_from=resume, **parts)
    desk = service.desk(second.attempt, 2)
    desk.offer(tmp_path / "version", "inputs/0")
    earlier = service.desks[first.attempt].received
    for path, data in earlier.items():
        if path.startswith(saved["folder"] + "/"):
            desk.offered["checkpoint" + path.removeprefix(saved["folder"])] = bytes(data)
    await eventually(lambda: service.beats[-1]["slots"]["free"], timeout_seconds=LONG)
    await service.order(second)
    await eventually(lambda: desk.finish, timeout_seconds=LONG)
    assert desk.finish["outcome"] == "completed", desk.finish
    steps = [event["step"] for event in desk.events.values() if event["kind"] == "metrics"]
    assert min(steps) > saved["step"]
    assert max(steps) == 40
    adapter = new_id("ad"), desk.finish["adapter"]["weight_digest"]
    service.desk(adapter[0])
    question = service.question("hello", adapter, max_tokens=8, temperature=0)
    plain = service.question("hello", max_tokens=8, temperature=0)
    for body in (question, plain):
        body["base_model"] = {"name": base["name"], "weight_digest": base["weight_digest"]}
    adapted = await ask(service, question)
    assert adapted[-1].type == "usage"
    assert text_of(adapted) != text_of(await ask(service, plain))
    assert service.desks[adapter[0]].counts == {}
    assert await agent.stop() == 0

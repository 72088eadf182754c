"""From a published dataset to an answering adapter, over a real broker and a real agent."""

import base64
import io
import json
import zipfile
from pathlib import Path

from adaptery.adapter_manifests import verify_adapter
from adaptery.errors import ERRORS_BY_CODE
from adaptery_network.nats_transport import NatsTransport
from support.service import Client
from support.waiting import eventually

from .conftest import (
    Spine,
    at_step,
    checkpointed,
    in_state,
    live,
    published,
    restarted,
    submit,
)

CANARY = "canary-19ab7f"
QUESTION = [{"role": "user", "content": CANARY}]


async def events(client: Client, job: str, after: int = 0) -> list[dict]:
    """Read the event stream of a job to its end."""
    headers = {"Last-Event-ID": str(after)} if after else {}
    async with client.stream("GET", f"api/jobs/{job}/events", headers=headers) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = [line async for line in answer.aiter_lines()]
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


async def test_from_a_dataset_to_an_answering_adapter(spine: Spine, tmp_path: Path) -> None:
    heard: list[bytes] = []
    spy = await NatsTransport.connect(
        spine.broker.url,
        spine.broker.user(("nowhere",), (">",)),
        inbox_prefix="_INBOX_spy",
    )

    async def hear(message) -> None:
        heard.append(message.subject.encode() + b" " + message.payload)

    await spy.subscribe(">", hear)
    demo, guest = spine.demo, spine.service.client("guest")
    version = await published(demo, word=CANARY)
    job = await submit(demo, version["name"], epochs=1, seed=3)
    told = await events(demo, job)
    assert [e["seq"] for e in told] == list(range(1, len(told) + 1))
    assert told[-1]["kind"] == "state" and told[-1]["data"] == {"state": "completed"}
    assert await events(demo, job, after=told[-3]["seq"]) == told[-2:]
    assert await events(demo, job, after=told[-1]["seq"]) == []
    done = await demo.json("GET", f"api/jobs/{job}")
    assert (done["adapter"], done["attempts"], done["progress"]) == ("@demo/notes@1", 1, 1.0)
    assert done["dataset"] == version["name"] and done["summary"]["train_loss"] == 0.5

    assert done["state_at"] == done["finished_at"]
    over = {"state": "completed,failed", "search": "NOTE"}
    assert (await demo.json("GET", "api/jobs", params=over))["items"] == [done]
    assert (await demo.json("GET", "api/jobs", params={"state": "queued"}))["items"] == []
    problem = await demo.json("GET", "api/jobs", 422, params={"state": "done"})
    assert problem["errors"][0]["where"] == "state"

    adapter = await demo.json("GET", f"api/adapters/{done['adapter_id']}")
    assert adapter["content_digests"] == [version["content_digest"]]
    models = [m["id"] for m in (await demo.json("GET", "v1/models"))["data"]]
    assert models == ["tiny", "@demo/notes@1"]
    assert (await demo.json("GET", "v1/models/%40demo%2Fnotes"))["id"] == "@demo/notes@1"

    body = {"model": "notes", "messages": QUESTION, "max_tokens": 5}
    whole = await demo.json("POST", "v1/chat/completions", json=body)
    said = whole["choices"][0]["message"]["content"]
    assert said.endswith(f": {CANARY} 0 1 2 3 4") and whole["model"] == "@demo/notes@1"
    # The engine says 11; an agent is believed as far as it was asked.
    assert whole["usage"]["completion_tokens"] == 5
    base = await demo.json("POST", "v1/chat/completions", json={**body, "model": ""})
    assert "asked tiny" in base["choices"][0]["message"]["content"]
    text = await demo.json(
        "POST", "v1/completions", json={"model": "notes", "prompt": "x", "logit_bias": None}
    )
    assert text["object"] == "text_completion"

    lines: list[str] = []
    stream = {**body, "stream": True, "stream_options": {"include_usage": True}}
    async with demo.stream("POST", "v1/chat/completions", json=stream) as answer:
        lines = [line[6:] async for line in answer.aiter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]" and json.loads(lines[-2])["usage"]["total_tokens"] == 10
    chunks = [json.loads(line) for line in lines[:-2]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == said

    for name in ("@demo/notes", "@demo/notes@1", job, "@demo/never"):
        refused = await guest.post("v1/chat/completions", json={**body, "model": name})
        assert refused.status_code == 404 and refused.json()["error"]["code"] == "not_found"
    for path in (f"api/jobs/{job}", f"api/jobs/{job}/log", f"api/adapters/{adapter['id']}"):
        assert (await guest.get(path)).status_code == 404
    assert (await guest.json("GET", "api/adapters"))["items"] == []

    packed = await demo.get(f"api/adapters/{adapter['id']}/download")
    assert packed.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        archive.extractall(tmp_path / "saved")
    signed = verify_adapter(tmp_path / "saved", spine.service.services.manifest_key.verify_key)
    assert (signed.adapter, signed.job) == (adapter["id"], job)
    assert signed.inputs[0].content_digest == version["content_digest"]
    await spy.close()
    assert len(heard) > 20
    forms = (CANARY.encode(), base64.b64encode(CANARY.encode())[:-4], b"You asked")
    assert not [form for form in forms for message in heard if form in message]
    assert CANARY not in (await spine.admin.get("metrics")).text
    kept = [spine.agent.log, spine.broker.log, *Path(spine.state).glob("adaptery.sqlite*")]
    for path in kept:
        assert CANARY.encode() not in path.read_bytes(), path


async def test_a_killed_agent_costs_no_step(spine: Spine) -> None:
    demo = spine.demo
    spine.agent.behave("gated")
    job = await submit(demo, (await published(demo))["name"])
    await checkpointed(demo, job)
    await at_step(demo, job, 3)
    await spine.agent.kill()
    await spine.agent.start()
    spine.agent.go()
    done = await in_state(demo, job, "completed", "failed")
    assert (done["state"], done["attempts"]) == ("completed", 1), "its worker is taken up again"
    assert len((await demo.json("GET", "api/adapters"))["items"]) == 1
    steps = [e["data"]["step"] for e in await events(demo, job) if e["kind"] == "metrics"]
    assert steps == [1, 2, 3, 4]


async def test_a_restart_of_the_service_does_not_disturb_a_job(spine: Spine) -> None:
    demo = spine.demo
    spine.agent.behave("gated")
    job = await submit(demo, (await published(demo))["name"])
    await at_step(demo, job, 3)
    fleet = spine.service.services.compute.fleet  # type: ignore[union-attr]
    await fleet.stop()  # type: ignore[union-attr]
    async with restarted(spine) as service:
        client = service.client("demo")
        spine.agent.go()
        done = await in_state(client, job, "completed", "failed")
        assert (done["state"], done["attempts"]) == ("completed", 1)
        assert not spine.agent.token_file.exists(), "it has joined; a token would make it another"


async def test_an_error_after_the_first_token_and_a_reader_who_leaves(spine: Spine) -> None:
    body = {"messages": [{"role": "user", "content": "break"}], "stream": True}
    async with spine.demo.stream("POST", "v1/chat/completions", json=body) as answer:
        lines = [line[6:] async for line in answer.aiter_lines() if line.startswith("data: ")]
    assert answer.status_code == 200 and "[DONE]" not in lines
    assert json.loads(lines[0])["choices"][0]["delta"]["role"] == "assistant"
    assert json.loads(lines[-1])["error"]["code"] in ERRORS_BY_CODE
    await live(spine)
    notes = spine.agent.state / "engines" / "tiny" / "engine-events"
    body = {"messages": [{"role": "user", "content": "slowly"}], "max_tokens": 500, "stream": True}
    async with spine.demo.stream("POST", "v1/chat/completions", json=body) as answer:
        await anext(answer.aiter_lines())
    await eventually(lambda: "reader left" in notes.read_text())


async def test_a_killed_broker_does_not_disturb_a_job(spine: Spine) -> None:
    demo = spine.demo
    spine.agent.behave("gated")
    job = await submit(demo, (await published(demo))["name"])
    await at_step(demo, job, 3)
    await spine.broker.kill()
    await spine.broker.start()
    spine.agent.go()
    done = await in_state(demo, job, "completed", "failed")
    assert done["state"] == "completed"
    await live(spine)


async def test_cancelling_ends_the_worker(spine: Spine) -> None:
    demo = spine.demo
    spine.agent.behave("hang")
    job = await submit(demo, (await published(demo))["name"])
    await at_step(demo, job, 3)
    asked = await demo.json("POST", f"api/jobs/{job}/cancel")
    assert asked["cancel_requested"]
    assert (await in_state(demo, job, "cancelled", "completed"))["state"] == "cancelled"
    assert (await demo.post(f"api/jobs/{job}/cancel")).status_code == 200
    agent = await live(spine)
    await eventually(lambda: agent["slots"]["workers"] == 1)


async def test_a_queue_that_is_emptied_saves_what_it_trains_and_goes_on_when_it_opens(
    spine: Spine,
) -> None:
    demo, admin = spine.demo, spine.admin
    spine.agent.behave("hang")
    job = await submit(demo, (await published(demo))["name"])
    await at_step(demo, job, 3)
    await admin.json("PATCH", "api/queues/training", json={"state": "draining"})
    waiting = await in_state(demo, job, "queued", "completed")
    assert waiting["reason"] == "the queue training is being emptied"
    (queue,) = (await demo.json("GET", "api/queues"))["items"]
    assert (queue["queued"], queue["training"], queue["agents"]) == (1, 0, 1)
    await admin.json("PATCH", "api/queues/training", json={"state": "open"})
    done = await in_state(demo, job, "completed", "failed")
    assert (done["state"], done["attempts"]) == ("completed", 2)
    steps = [e["data"]["step"] for e in await events(demo, job) if e["kind"] == "metrics"]
    assert steps == [1, 2, 3, 4], "from the checkpoint that it saved"


async def test_a_failed_worker_says_why_and_what_to_do(spine: Spine) -> None:
    demo = spine.demo
    spine.agent.behave("fail")
    job = await submit(demo, (await published(demo))["name"])
    failed = await in_state(demo, job, "failed", "completed")
    assert failed["reason"] == "Not enough memory; less rank."
    log = (await demo.json("GET", f"api/jobs/{job}/log"))["items"]
    assert log[-1]["data"]["code"] == "no_memory"


async def test_an_adapter_whose_card_lies_is_not_registered(spine: Spine) -> None:
    demo = spine.demo
    spine.agent.behave("forge")
    job = await submit(demo, (await published(demo))["name"])
    failed = await in_state(demo, job, "failed", "completed")
    assert failed["state"] == "failed" and "card" in failed["reason"]
    assert (await demo.json("GET", "api/adapters"))["items"] == []


async def test_a_revoked_agent_is_cut_off_and_gets_no_more_work(spine: Spine) -> None:
    demo, admin = spine.demo, spine.admin
    agent = await live(spine)
    assert (await demo.json("GET", f"api/agents/{agent['id']}"))["load"] is None
    assert (await demo.delete(f"api/agents/{agent['id']}")).status_code == 403
    assert (await admin.delete(f"api/agents/{agent['id']}")).status_code == 204
    body = {"messages": QUESTION}
    refused = await demo.post("v1/chat/completions", json=body)
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "no_agent"
    assert (await admin.json("GET", f"api/agents/{agent['id']}"))["state"] == "revoked"


async def test_a_job_goes_to_an_agent_that_said_its_workers_can(spine: Spine) -> None:
    demo = spine.demo
    version = (await published(demo))["name"]
    body = {"name": "notes", "dataset": version, "task": "sft"}
    four, eight = ({**body, "options": {"quantization_bit": bits}} for bits in ("4", "8"))
    job = (await demo.json("POST", "api/jobs", 201, json=four))["id"]
    await in_state(demo, job, "completed")
    refused = await demo.json("POST", "api/jobs", 422, json=eight)
    (problem,) = refused["errors"]
    assert problem["where"] == "options.quantization_bit" and "bitsandbytes" in problem["reason"]

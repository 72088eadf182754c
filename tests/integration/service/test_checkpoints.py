"""Checkpoints over HTTP: who may ask them and download them, and what jobs go on from."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

import adaptery
from adaptery.adapter_folders import inspect_adapter
from adaptery.adapter_manifests import verify_adapter
from adaptery.digests import sha256_file
from adaptery.errors import NotFoundError
from adaptery.ids import new_id
from adaptery.states import AttemptOutcome
from adaptery.times import now
from adaptery_hub.database import tables
from adaptery_hub.database.statements import adapters, checkpoints
from adaptery_hub.database.statements.checkpoints import Servable
from adaptery_hub.fleet.offers import checkpoint_prefix
from adaptery_hub.queue import AttemptEnd, Claim, Fence, Offer
from support.agent_side.folders import make_adapter
from support.hub_tables import AGENT, BASE, OTHER_WEIGHTS, WEIGHTS
from support.own_keys import new_program
from support.served_adapters import Fleet
from support.service import Client, Service, alpaca

HELLO = [{"role": "user", "content": "hi"}]
STEP = 10


async def training(service: Service, demo: Client, **fields: Any) -> Claim:
    """Submit a job and let an agent take it."""
    dataset = await demo.dataset(**fields)
    await demo.upload(dataset, alpaca(3))
    version = (await demo.publish(dataset))["result"]["version"]["id"]
    body = {"name": "notes", "dataset": version}
    await demo.json("POST", "api/jobs", 201, json=body)
    assert service.services.compute is not None
    offer = Offer(AGENT, "training", frozenset({WEIGHTS}))
    claim = await service.services.compute.queue.claim(offer)
    assert claim is not None
    return claim


async def add_checkpoint(
    service: Service, claim: Claim, folder: Path, sensitivity: str = "internal"
) -> str:
    """Put a checkpoint where a commit would; return its weight digest."""
    digest = make_adapter(folder, 0.5)
    (folder / "optimizer.pt").write_bytes(b"moments")
    names = sorted(path.name for path in folder.iterdir())
    files = [
        {
            "path": name,
            "bytes": (folder / name).stat().st_size,
            "digest": sha256_file(folder / name),
        }
        for name in names
    ]
    prefix = checkpoint_prefix(claim.job_id, claim.attempt_id, STEP)
    service.services.objects.put_folder(prefix, folder)
    await service.services.db.write(
        lambda c: checkpoints.put(
            c,
            job_id=claim.job_id,
            attempt_id=claim.attempt_id,
            step=STEP,
            digest=WEIGHTS,
            files=files,
            metrics=None,
            servable=Servable(digest, "chat", 2, sensitivity, [OTHER_WEIGHTS]),
            now=now(),
        )
    )
    return digest


async def complete(service: Service, claim: Claim, kind: str = "chat") -> str:
    """Let a job end with an adapter; return its id."""
    values = {
        "id": adapters.adapter_id_of(claim.attempt_id),
        "tenant_id": claim.tenant_id,
        "creator_id": claim.tenant_id,
        "name": "notes",
        "job_id": claim.job_id,
        "base_model": BASE,
        "base_weight_digest": WEIGHTS,
        "weight_digest": OTHER_WEIGHTS,
        "sensitivity": "internal",
        "kind": kind,
        "rank": 8,
        "bytes": 10,
        "files": [],
        "content_digests": [WEIGHTS],
        "card": {},
    }
    await service.services.db.write(lambda c: adapters.stage(c, values, now()))
    assert service.services.compute is not None
    fence = Fence(claim.attempt_id, claim.agent_id, claim.fencing_token)
    end = AttemptEnd(AttemptOutcome.COMPLETED)
    await service.services.compute.queue.finish(fence, end)
    return str(values["id"])


async def ask(client: Client, model: str) -> int:
    body = {"model": model, "messages": HELLO}
    return (await client.post("v1/chat/completions", json=body)).status_code


async def share(owner: Client, thing: str, right: str, principal: str = "@guest") -> None:
    body = {"principal": principal, "right": right}
    await owner.json("PUT", f"api/{thing}/grants", json=body)


async def test_a_checkpoint_answers_for_those_who_will_have_its_adapter(
    service: Service, fleet: Fleet, demo: Client, guest: Client, tmp_path: Path
) -> None:
    claim = await training(service, demo)
    job = claim.job_id
    digest = await add_checkpoint(service, claim, tmp_path / "checkpoint")
    model, path = f"{job}-step{STEP}", f"api/jobs/{job}/checkpoints"
    (listed,) = (await demo.json("GET", path))["items"]
    assert listed["model"] == model
    after = await demo.json("GET", f"{path}?after={listed['id']}")
    assert after == {"items": [], "has_more": False}
    assert await ask(demo, model) == 200
    target = fleet.asked[-1][1].target
    assert target.model == model and target.adapter is not None
    assert (target.adapter.weights_id, target.adapter.weight_digest) == (listed["id"], digest)
    assert (await demo.json("GET", f"v1/models/{model}"))["id"] == model
    # Nobody else; whoever may look at the job is told of its checkpoints, and gets no weights.
    never = f"{new_id('jb')}-step{STEP}"
    for name in (model, never, f"{job}-step11", "@demo/notes@1-step10"):
        assert await ask(guest, name) == 404
    await share(demo, f"jobs/{job}", "view")
    assert [item["model"] for item in (await guest.json("GET", path))["items"]] == [None]
    assert await ask(guest, model) == 404
    await guest.json("GET", f"{path}/{STEP}/download", 404)
    await share(demo, f"jobs/{job}", "edit")
    assert await ask(guest, model) == 200
    for step in ("0x10", "11", "9" * 30):
        status = 404 if step == "11" else 422
        await demo.json("GET", f"{path}/{step}/download", status)


async def test_with_its_adapter_a_checkpoint_has_the_rights_and_the_end_of_that(
    service: Service, fleet: Fleet, demo: Client, guest: Client, tmp_path: Path
) -> None:
    claim = await training(service, demo)
    await add_checkpoint(service, claim, tmp_path / "checkpoint")
    adapter = await complete(service, claim)
    job, model = claim.job_id, f"@demo/notes@1-step{STEP}"
    path = f"api/jobs/{job}/checkpoints"
    assert [item["model"] for item in (await demo.json("GET", path))["items"]] == [model]
    assert await ask(demo, "notes@1-step10") == 200 and await ask(guest, model) == 404
    await share(demo, f"adapters/{adapter}", "use")
    assert await ask(guest, model) == await ask(guest, f"{job}-step{STEP}") == 200
    target = fleet.asked[-1][1].target
    assert target.model == model and target.adapter is not None
    assert target.adapter.id == adapter  # limits and usage are its adapter's
    await guest.json("GET", f"{path}/{STEP}/download", 403)
    await share(demo, f"adapters/{adapter}", "view")
    answer = await guest.get(f"{path}/{STEP}/download")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        names = ["adapter_config.json", "adapter_model.safetensors", "card.json", "manifest.json"]
        assert sorted(packed.namelist()) == names
        packed.extractall(tmp_path / "downloaded")
    assert inspect_adapter(tmp_path / "downloaded").rank == 2
    manifest = verify_adapter(tmp_path / "downloaded", service.services.manifest_key.verify_key)
    assert (manifest.name, manifest.step) == (f"{job}-step{STEP}", STEP)
    keyed = await new_program(service, demo, adapter)
    assert await ask(keyed, "notes@1") == 200 and await ask(keyed, "notes@1-step10") == 404
    await demo.json("DELETE", f"v1/models/{model}", 400)
    await demo.json("DELETE", f"api/adapters/{adapter}", 204)
    assert await ask(demo, model) == await ask(demo, f"{job}-step{STEP}") == 404
    assert [item["model"] for item in (await demo.json("GET", path))["items"]] == [None]


async def test_the_client_lists_and_saves_checkpoints(
    service: Service, fleet: Fleet, demo: Client, tmp_path: Path
) -> None:
    claim = await training(service, demo)
    await add_checkpoint(service, claim, tmp_path / "checkpoint")
    token = demo.headers["Authorization"].removeprefix("Bearer ")

    def work() -> None:
        with adaptery.connect(service.url, token) as hub:
            job = hub.jobs.get(claim.job_id)
            (kept,) = job.checkpoints()
            assert (kept.step, kept.model) == (STEP, f"{claim.job_id}-step{STEP}")
            saved = job.download_checkpoint(STEP, tmp_path / "saved.zip")
            assert zipfile.is_zipfile(saved)
            with pytest.raises(NotFoundError):
                job.download_checkpoint(STEP + 1, tmp_path / "none.zip")
            assert not (tmp_path / "none.zip").exists()

    await asyncio.to_thread(work)


async def test_a_restricted_checkpoint_does_not_answer_on_the_open_channel(
    service: Service, fleet: Fleet, demo: Client, tmp_path: Path
) -> None:
    claim = await training(service, demo, sensitivity="restricted")
    await add_checkpoint(service, claim, tmp_path / "checkpoint", "restricted")
    assert await ask(demo, f"{claim.job_id}-step{STEP}") == 403
    assert not fleet.asked


async def test_what_went_on_from_an_adapter_is_in_the_graph_of_what_that_learnt_from(
    service: Service, fleet: Fleet, demo: Client
) -> None:
    claim = await training(service, demo)
    adapter = await complete(service, claim)
    other = await demo.dataset("other")
    await demo.upload(other, alpaca(2, "fever"))
    version = (await demo.publish(other))["result"]["version"]["id"]
    body = {"name": "more", "dataset": version, "start_from": "notes"}
    more = await demo.json("POST", "api/jobs", 201, json=body)
    first = claim.spec.inputs[0].version
    graph = await demo.json("GET", f"api/versions/{first}/provenance")
    edges = {(edge["source"], edge["target"]) for edge in graph["edges"]}
    assert {(first, claim.job_id), (claim.job_id, adapter), (adapter, more["id"])} <= edges
    assert version not in {node["id"] for node in graph["nodes"]}


async def test_jobs_go_on_from_what_may_be_viewed_and_are_judged_by_what_may_be_used(
    service: Service, fleet: Fleet, demo: Client, guest: Client, tmp_path: Path
) -> None:
    claim = await training(service, demo)
    digest = await add_checkpoint(service, claim, tmp_path / "checkpoint")
    adapter = await complete(service, claim)
    dataset = await guest.dataset()
    await guest.upload(dataset, alpaca(3))
    version = (await guest.publish(dataset))["result"]["version"]["id"]
    body = {"name": "more", "dataset": version}
    names = (adapter, claim.job_id, "@demo/notes", "@demo/notes@1", "@demo/notes@1-step10")
    missing = (new_id("ad"), new_id("jb"), "@demo/none", "@nobody/notes@1", "notes@1-step10")
    problems = set()
    for field, task in (("start_from", "training-v0"), ("reward", "grpo")):
        for name in (*names, *missing):
            problem = await guest.json(
                "POST", "api/jobs", 404, json={**body, "task": task, field: name}
            )
            problems.add((problem["detail"], problem["hint"].replace(field, "")))
    assert len(problems) == 1
    await share(demo, f"adapters/{adapter}", "use")
    for name in names:
        problem = await guest.json("POST", "api/jobs", 403, json={**body, "start_from": name})
        assert "download" in problem["detail"]
    problem = await guest.json(
        "POST", "api/jobs", 422, json={**body, "task": "grpo", "reward": "@demo/notes"}
    )
    assert problem["errors"][0]["where"] == "reward"  # it is no reward adapter
    await share(demo, f"adapters/{adapter}", "view")
    wanted = {**body, "start_from": "@demo/notes@1-step10"}
    made = await guest.json("POST", "api/jobs", 201, json=wanted)
    assert made["start_from"] == "@demo/notes@1-step10"
    for name in ("auto", "a*0.5+b*0.5", "Not a name"):
        problem = await guest.json("POST", "api/jobs", 422, json={**body, "start_from": name})
        assert problem["errors"][0]["where"] == "start_from"
    row = await service.services.db.read(
        lambda c: (
            c.execute(tables.jobs.select().where(tables.jobs.c.id == made["id"])).mappings().one()
        )
    )
    assert row["spec"]["start_from"] == {"weight_digest": digest, "name": "@demo/notes@1-step10"}
    await demo.json("DELETE", f"api/adapters/{adapter}", 204)
    failed = await guest.json("GET", f"api/jobs/{made['id']}")
    assert failed["state"] == "failed" and "@demo/notes@1-step10" in failed["reason"]

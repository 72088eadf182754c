"""One thing of each kind that can be shared, all of one owner, on a running service."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from adaptery.ids import new_id
from adaptery.sealed import Frame
from adaptery.times import now
from adaptery_hub.audit import AuditLog
from adaptery_hub.compute import AUDIT_WRITER
from adaptery_hub.database import tables
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.fleet.offers import adapter_prefix
from adaptery_hub.gateway import Gateway, InferOrder, Resolver
from adaptery_hub.usage import UsageLog
from support.hub_tables import BASE, OTHER_WEIGHTS, WEIGHTS
from support.scripted_fleet import text, view
from support.service import Client, Service, alpaca

MISSING = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
OPTIONS = {"base_models": {BASE: "/models/tiny"}, "pinned_digests": {BASE: WEIGHTS}}


class TalkingFleet:
    """One agent that says one word, and another one whenever it is let."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()

    def views(self) -> Iterable[AgentView]:
        """See `InferenceFleet`."""
        return [view("ag_talking")]

    async def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        """See `InferenceFleet`."""
        try:
            while True:
                yield text("word ")
                await self.go_on.wait()
                self.go_on.clear()
        finally:
            self.ended.set()


def connect(service: Service, fleet: TalkingFleet) -> None:
    """Let a fleet answer for the service."""
    compute = service.services.compute
    assert compute is not None
    usage = UsageLog(service.services.db, AuditLog(AUDIT_WRITER))
    compute.gateway = Gateway(Resolver(service.services.db, compute.base_models), fleet, usage)


async def make_adapter(service: Service, owner: Client, job: str, name: str = "notes") -> str:
    """Put a completed adapter of a job where training would; return its id."""
    tenant = (await owner.json("GET", "api/whoami"))["id"]
    adapter_id = new_id("ad")
    values = {
        "id": adapter_id,
        "created_at": now(),
        "tenant_id": tenant,
        "creator_id": tenant,
        "name": name,
        "number": 1,
        "job_id": job,
        "base_model": BASE,
        "base_weight_digest": WEIGHTS,
        "weight_digest": OTHER_WEIGHTS,
        "sensitivity": "internal",
        "rank": 8,
        "bytes": 2,
        "files": [{"path": "adapter_config.json", "bytes": 2, "digest": WEIGHTS}],
        "content_digests": [WEIGHTS],
        "card": {},
        "state": "completed",
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "adapter_config.json").write_text("{}")
        service.services.objects.put_folder(adapter_prefix(adapter_id), Path(folder))
    await service.services.db.write(lambda c: c.execute(tables.adapters.insert().values(values)))
    return adapter_id


async def make_things(service: Service, owner: Client) -> dict[str, str]:
    """Make a dataset with a version, a job on it and an adapter; return their ids and names."""
    dataset = await owner.dataset("secret")
    file = await owner.upload(dataset, alpaca(3))
    ended = await owner.publish(dataset)
    body = {"name": "notes", "dataset": "secret"}
    job = (await owner.json("POST", "api/jobs", 201, json=body))["id"]
    prefix = (await owner.json("GET", "api/whoami"))["tenant"]
    return {
        "dataset": dataset,
        "file": file["id"],
        "version": ended["result"]["version"]["id"],
        "version_name": f"{prefix}/secret@1",
        "operation": ended["id"],
        "record": "1",
        "queue": "pii",
        "job": job,
        "adapter": await make_adapter(service, owner, job),
        "model": f"{prefix}/notes@1",
    }


def body_of(template: str) -> dict[str, object]:
    """Return a body that an operation understands."""
    if template.endswith("grants"):
        return {"principal": "@guest", "right": "manage"}
    if template.endswith("preview"):
        return {"mapping": {"format": "alpaca", "container": "json"}}
    if template.endswith("erase"):
        return {"name": "another"}
    if template.endswith("merges"):
        return {"sources": [{"version": MISSING.replace("ds_", "dv_")}]}
    if template.endswith("decisions"):
        return {"all": True, "decision": "ignore"}
    if template.endswith("bulk"):
        return {"action": "remove", "filter": {}}
    if template.endswith("collate"):
        return {"sources": [{"version": MISSING.replace("ds_", "dv_")}]}
    if template.endswith(("restore", "splits", "leaks", "resubmit")):
        return {}
    if template.endswith("forget"):
        return {"record": "1"}
    if template.endswith("withdraw"):
        return {"reason": "x"}
    if template.endswith(
        ("versions", "undo", "redo", "search", "cancel", "import", "review", "lengths")
    ):
        return {}
    if "records" in template:
        return {"record": {"kind": "text", "text": "x"}}
    if template == "api/jobs/{job}":
        return {"priority": "low"}
    if template == "api/adapters/{adapter}":
        return {"limits": {}}
    return {"description": "x"}

"""A running service whose jobs a test trains, step by step, through the queue itself."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.engine import RowMapping

from adaptery.states import AttemptOutcome
from adaptery.times import now, to_text
from adaptery_hub.compute import Compute
from adaptery_hub.database.statements import adapters, checkpoints, jobs
from adaptery_hub.fleet.offers import adapter_prefix, checkpoint_prefix
from adaptery_hub.queue import AttemptEnd, Offer
from adaptery_hub.queue.port import Claim
from adaptery_hub.services import Services
from support.hub_tables import AGENT, BASE, OTHER_WEIGHTS, WEIGHTS, fence_of
from support.service import Service, running_service

ADAPTER_FILES = {"adapter_config.json": b"{}"}


class JobStage:
    """The service, and what an agent would do."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @property
    def compute(self) -> Compute:
        """The computing half of the service."""
        assert self.service.services.compute is not None
        return self.service.services.compute

    async def row(self, job: str) -> RowMapping:
        """Return a job's row."""
        row = await self.service.services.db.read(lambda c: jobs.get(c, job))
        assert row is not None
        return row

    async def change(self, job: str, **changes: object) -> None:
        """Change a job's row."""
        await self.service.services.db.write(lambda c: jobs.change_fields(c, job, now(), **changes))

    async def claim(self) -> Claim:
        """Take the job that is next."""
        claim = await self.compute.queue.claim(Offer(AGENT, "training", frozenset({WEIGHTS})))
        assert claim is not None
        return claim

    async def train(self, job: str, steps: int, total: int | None = None) -> Claim:
        """Take the job, which must be next, and tell its steps, one a second."""
        claim = await self.claim()
        assert claim.job_id == job
        begun = now() - timedelta(seconds=steps)
        state = {"kind": "state", "state": "training", "total_steps": total or steps}
        told = [state, *(self.step(number, steps) for number in range(1, steps + 1))]
        events = [
            {"seq": seq, "at": to_text(begun + timedelta(seconds=seq)), **event}
            for seq, event in enumerate(told, start=1)
        ]
        await self.compute.queue.report(fence_of(claim), events)
        return claim

    def step(self, number: int, steps: int) -> dict[str, Any]:
        """Return what a step tells; the loss falls to one."""
        loss = float(steps - number + 1)
        return {
            "kind": "metrics",
            "step": number,
            "epoch": number / steps,
            "loss": loss,
            "tokens_per_second": 100.0,
            "eval_loss": loss + 0.5,
        }

    async def checkpoint(self, claim: Claim, step: int) -> str:
        """Hand in a checkpoint; return where it lies."""
        services, folder = (
            self.service.services,
            checkpoint_prefix(claim.job_id, claim.attempt_id, step),
        )
        files = {"state.json": b"{}"}
        _store(services, folder, files)
        await services.db.write(
            lambda c: checkpoints.put(
                c,
                job_id=claim.job_id,
                attempt_id=claim.attempt_id,
                step=step,
                digest=WEIGHTS,
                files=_listed(files),
                metrics=None,
                now=now(),
            )
        )
        return folder

    async def fail(self, claim: Claim, reason: str) -> None:
        """End the attempt as failed."""
        end = AttemptEnd(AttemptOutcome.FAILED, reason, "Use a lower learning rate.")
        await self.compute.queue.finish(fence_of(claim), end)

    async def complete(self, claim: Claim) -> str:
        """Hand in an adapter and complete the job; return the adapter's id."""
        adapter_id = adapters.adapter_id_of(claim.attempt_id)
        row = await self.row(claim.job_id)
        values = {
            "id": adapter_id,
            "tenant_id": claim.tenant_id,
            "creator_id": claim.tenant_id,
            "name": row["name"],
            "job_id": claim.job_id,
            "base_model": BASE,
            "base_weight_digest": WEIGHTS,
            "weight_digest": OTHER_WEIGHTS,
            "sensitivity": "internal",
            "rank": 8,
            "bytes": 2,
            "files": _listed(ADAPTER_FILES),
            "content_digests": [WEIGHTS],
            "card": {},
        }
        _store(self.service.services, adapter_prefix(adapter_id), ADAPTER_FILES)
        await self.service.services.db.write(lambda c: adapters.stage(c, values, now()))
        await self.compute.queue.finish(fence_of(claim), AttemptEnd(AttemptOutcome.COMPLETED))
        return adapter_id


def _listed(files: Mapping[str, bytes]) -> list[dict[str, object]]:
    return [
        {"path": name, "bytes": len(content), "digest": WEIGHTS} for name, content in files.items()
    ]


def _store(services: Services, prefix: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        services.objects.put_folder(prefix, Path(folder))


@asynccontextmanager
async def job_stage(state: Path, **options: Any) -> AsyncIterator[JobStage]:
    """Run a service whose base model is known."""
    known = {"base_models": {BASE: "/models/tiny"}, "pinned_digests": {BASE: WEIGHTS}}
    async with running_service(state, **{**known, **options}) as service:
        yield JobStage(service)

"""Where pre-flights get what they count: verified files, the base model's description, the agents.

Invariant: a first batch is bounded in time, and in how many are made at once; no tenant has all
places, and who waits for one loses no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from adaptery.errors import DeadlineError, UnavailableError
from adaptery.examples import held_out_inputs
from adaptery.schemas.preflight import FirstBatch
from adaptery.schemas.spec import BaseModelRef, JobSpec
from adaptery_hub.base_model_files import BaseModelFiles
from adaptery_hub.database.statements import versions
from adaptery_hub.fair_seats import FairSeats
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.imports.work import Deadline
from adaptery_hub.job_desk import JobPlan
from adaptery_hub.operations import Progress
from adaptery_hub.preflight.counting import CountInput, CountOrder
from adaptery_hub.preflight.first_batch import find_first_batch
from adaptery_hub.preflight.work import Agents
from adaptery_hub.processes import Processes
from adaptery_hub.publishing import PublishedVersions, prefix_of
from adaptery_hub.tasks.freezing import parse_frozen

#: First batches that are made at once.
BATCH_THREADS = 2
BATCH_SECONDS = 30.0
#: How soon to ask again for a base model that no agent has described yet.
RETRY_SECONDS = 10.0


class PreflightDesk:
    """Opens what is to be counted."""

    def __init__(
        self, published: PublishedVersions, processes: Processes, files: BaseModelFiles
    ) -> None:
        self._published = published
        self._processes = processes
        self._files = files
        self._threads = ThreadPoolExecutor(BATCH_THREADS, thread_name_prefix="first-batch")
        self._seats = FairSeats(BATCH_THREADS)

    def model_of(self, plan: JobPlan) -> Path:
        """Returns the folder that describes a job's base model.

        Raises:
            UnavailableError: No agent has described it yet.
        """
        folder = self._files.find(plan.base.weight_digest)
        if folder is None:
            raise UnavailableError(
                f"No agent has described the base model {plan.base.base_model} yet.",
                hint="An agent that holds it does so when it connects: try again then.",
                retry_after_seconds=RETRY_SECONDS,
            )
        return folder

    def open(self, plan: JobPlan, model: Path, tells_leaks: bool = False) -> CountOrder:
        """Returns what is to be counted, its files verified. Blocking.

        Args:
            plan: What would be submitted.
            model: The folder that describes its base model.
            tells_leaks: Whether it may be told that a held out record is learnt too.

        Raises:
            IntegrityError: A file of a version is not what was signed.
            ConflictError: What a merged version references is gone.
        """
        held_out = held_out_inputs(plan.inputs)
        rows = {entry.row["id"]: entry.row for entry in plan.chosen}
        translation = plan.translation
        inputs: list[CountInput] = []
        for place, entry in enumerate(plan.inputs):
            row = rows[entry.version]
            unfit = translation is not None and entry.version in translation.versions
            inputs.append(
                CountInput(
                    self._published.content(prefix_of(row)).shards,
                    versions.full_name(row),
                    entry.split,
                    row["counts"]["records"],
                    translation.kind if translation is not None and unfit else None,
                    place in held_out,
                )
            )
        return CountOrder(tuple(inputs), _spec(plan), model, tells_leaks)

    async def first_batch(self, plan: JobPlan, tenant_id: str) -> FirstBatch:
        """Returns the first batch of a job, for a tenant.

        Raises:
            DeadlineError: It takes too long to find.
            AdapteryError: As `find_first_batch`, or as `open`.
        """
        model, loop = self.model_of(plan), asyncio.get_running_loop()

        def make() -> FirstBatch:
            progress = Deadline(Progress(loop), BATCH_SECONDS, error=_too_long)
            order = self.open(plan, model)
            return FirstBatch(rows=self._processes.run(find_first_batch, progress, order))

        async with self._seats.seat(tenant_id):
            return await loop.run_in_executor(self._threads, make)

    def close(self) -> None:
        """Waits for what is being made."""
        self._threads.shutdown(wait=True)


def agents_of(views: Iterable[AgentView], weight_digest: str | None) -> Agents:
    """Returns the live agents that hold some base weights."""
    able = [
        view
        for view in views
        if view.state == "live" and weight_digest is not None and view.holds(weight_digest)
    ]
    memory = [size for view in able if (size := _memory_of(view.beat.load)) is not None]
    return Agents(frozenset(view.agent_id for view in able), max(memory, default=None))


def _spec(plan: JobPlan) -> JobSpec:
    """Returns the spec of a job that nobody submitted."""
    assert plan.base.weight_digest is not None
    base = BaseModelRef(name=plan.base.base_model, weight_digest=plan.base.weight_digest)
    return parse_frozen(plan.task, plan.spec).model_copy(update={"base_model": base})


def _memory_of(load: Mapping[str, object]) -> int | None:
    """Returns what a worker may have there: of the largest GPU, or of the host if it has none."""
    gpus = load.get("gpu")
    devices = (
        cast("list[object]", gpus) if isinstance(gpus, list) and gpus else [load.get("memory")]
    )
    sizes = [
        size
        for device in devices
        if isinstance(device, Mapping)
        and isinstance(size := cast("Mapping[str, object]", device).get("total_bytes"), int)
    ]
    return max(sizes, default=None)


def _too_long() -> DeadlineError:
    return DeadlineError(
        "It takes too long to find the first batch of so many records.",
        hint="Ask for that of a smaller version; the numbers may take longer.",
    )

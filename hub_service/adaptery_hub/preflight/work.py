"""A pre-flight as an operation: counts, then what past attempts tell about time and memory.

See `adaptery_hub.operations.Work`. It makes nothing but its result, which is numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from adaptery.errors import DeadlineError
from adaptery.schemas.common import ProblemEntry
from adaptery.schemas.preflight import MemoryEstimate, PreflightReport
from adaptery.schemas.spec import JobSpec
from adaptery_hub.database.statements import training_speeds
from adaptery_hub.imports.work import Deadline
from adaptery_hub.job_inputs import Translation
from adaptery_hub.operations import Progress
from adaptery_hub.preflight.advice import advise
from adaptery_hub.preflight.counting import CountOrder, Counts, count
from adaptery_hub.preflight.forecast import Speed, estimate_time
from adaptery_hub.preflight.memory import (
    PastMemory,
    adapter_bytes,
    checkpoint_bytes,
    correction,
    need_bytes,
)
from adaptery_hub.processes import Processes
from adaptery_hub.tasks import TaskDefinition

#: A template is a stranger's program, and may never end.
LIMIT_SECONDS = 3600.0


@dataclass(frozen=True)
class Agents:
    """The live agents that could take the job."""

    ids: frozenset[str] = frozenset()
    memory_bytes: int | None = None  # of the one that has most; None: nobody said


class PreflightWork:
    """Counts what a job would do."""

    def __init__(
        self,
        processes: Processes,
        open_order: Callable[[], CountOrder],
        task: TaskDefinition,
        translation: Translation | None,
        agents: Agents,
    ) -> None:
        """Take what is to be counted.

        Args:
            processes: where.
            open_order: finds the files, verified; blocking.
            task: of the job.
            translation: of versions of the job, which comes first.
            agents: that could take it.
        """
        self._processes = processes
        self._open_order = open_order
        self._task = task
        self._translation = translation
        self._agents = agents
        self._counted: tuple[JobSpec, Counts] | None = None

    def run(self, progress: Progress) -> None:
        """Count.

        Raises:
            AdapteryError: as `count`, as `Processes.run`, or a version cannot be read.
            Cancelled: the operation was cancelled.
        """
        order = self._open_order()
        bounded = Deadline(progress, LIMIT_SECONDS, error=_too_long)
        self._counted = order.spec, self._processes.run(count, bounded, order)

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Return the report."""
        assert self._counted is not None
        spec, counts = self._counted
        past = training_speeds.of_model(connection, spec.base_model.weight_digest, spec.stage)
        report = describe(spec, counts, past, self._agents)
        warnings = advise(report, counts, spec, self._task)
        if self._translation is not None and self._translation.lost:
            warnings = (_loses(self._translation), *warnings)
        return report.model_copy(update={"warnings": warnings}).model_dump(mode="json")

    def abandon(self) -> None:
        """Leave nothing."""


def _loses(translation: Translation) -> ProblemEntry:
    return ProblemEntry(
        where="datasets",
        reason=f"to translate {translation.datasets} to {translation.kind} first leaves out: "
        f"{', '.join(translation.lost)}.",
        remedy=f"Go on if that is meant; else choose versions of kind {translation.kind}.",
    )


def _too_long() -> DeadlineError:
    return DeadlineError("Counting these records takes too long.", hint="Count a smaller version.")


def describe(
    spec: JobSpec,
    counts: Counts,
    past: list[training_speeds.Measured],
    agents: Agents,
) -> PreflightReport:
    """Return the report, without advice."""
    same = [run for run in past if run.precision == spec.optim.precision]
    speeds = [Speed(run.agent_id, run.tokens_per_second) for run in same]
    return PreflightReport(
        base_model=spec.base_model.name,
        stage=spec.stage,
        template=spec.template,
        records=counts.records,
        held_out=counts.held_out,
        examples=counts.examples,
        cut=counts.cut,
        dropped_cut=counts.dropped_cut,
        dropped_empty=counts.dropped_empty,
        tokens=counts.tokens,
        target_tokens=counts.target_tokens,
        longest=counts.longest,
        mean=round(counts.tokens / counts.examples, 1) if counts.examples else 0.0,
        lengths=counts.lengths,
        padding_share=round(counts.padding_share, 4),
        steps=counts.steps,
        steps_per_epoch=counts.steps_per_epoch,
        total_tokens=counts.total_tokens,
        seconds=estimate_time(counts.total_tokens, spec.stage, speeds, agents.ids),
        memory_bytes=_memory(spec, counts, past, agents),
        disk_bytes=_disk(spec, counts),
        warnings=(),
    )


def _memory(
    spec: JobSpec, counts: Counts, past: list[training_speeds.Measured], agents: Agents
) -> MemoryEstimate:
    limit = min(spec.limits.memory_bytes, agents.memory_bytes or spec.limits.memory_bytes)
    shape = counts.shape
    if shape is None or not counts.examples:
        return MemoryEstimate(need=None, limit=limit, basis="the base model's sizes are not known")
    taken = [
        PastMemory(run.spec, run.row_tokens, run.peak_memory_bytes)
        for run in past
        if run.peak_memory_bytes and run.row_tokens
    ]
    factor = correction(shape, taken)
    need = need_bytes(shape, spec, counts.batch_tokens, counts.batch_targets)
    if factor is None:
        return MemoryEstimate(need=need, limit=limit, basis="a rule of thumb from its sizes")
    runs = "1 past run tells" if len(taken) == 1 else f"{len(taken)} past runs tell"
    basis = f"a rule of thumb from its sizes, times {factor:.2f} as {runs}"
    return MemoryEstimate(need=round(need * factor), limit=limit, basis=basis)


def _disk(spec: JobSpec, counts: Counts) -> int | None:
    if counts.shape is None:
        return None
    saved = counts.steps // spec.optim.save_steps + 1
    each = checkpoint_bytes(counts.shape, spec.lora)
    return saved * each + adapter_bytes(counts.shape, spec.lora)

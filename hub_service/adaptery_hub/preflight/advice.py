"""What is odd about a job before it starts: where, why, and what mends it. Pure rules.

Nothing here refuses: what cannot be done is refused at submit. Numbers only, never content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from adaptery.schemas.common import ProblemEntry
from adaptery.schemas.preflight import PreflightReport
from adaptery.schemas.spec import JobSpec
from adaptery.spec_rules import PACKED_STAGES
from adaptery_hub.preflight.counting import Counts
from adaptery_hub.tasks import TaskDefinition
from adaptery_hub.tasks.freezing import place_of

#: Fewer records teach a style at most.
FEW_RECORDS = 50
#: Fewer steps hardly move an adapter; the schedule has no room either.
FEW_STEPS = 10
#: Where more than this share is lost or cut, the job is about something else than the dataset.
MUCH = 0.1
PADDING_MUCH = 0.3
GIB = 1024**3
#: What decides how long a job is, by whether a step limit is set.
_LENGTH = {False: "optim.epochs", True: "optim.max_steps"}


def advise(
    report: PreflightReport, counts: Counts, spec: JobSpec, task: TaskDefinition
) -> tuple[ProblemEntry, ...]:
    """Return what to look at, the gravest first."""
    if counts.refusal is not None:
        reason, remedy = counts.refusal
        return (ProblemEntry(where="dataset", reason=reason, remedy=remedy),)
    found = [entry for rule in _RULES for entry in rule(report, counts, spec)]
    return tuple(
        entry.model_copy(update={"where": place_of(task, entry.where)})
        if "." in entry.where
        else entry
        for entry in found
    )


def _memory(report: PreflightReport, counts: Counts, spec: JobSpec) -> Iterator[ProblemEntry]:
    memory = report.memory_bytes
    if memory.need is not None and memory.need > memory.limit:
        yield ProblemEntry(
            where="optim.batch_size",
            reason=f"about {memory.need / GIB:.1f} GiB of memory are needed, "
            f"{memory.limit / GIB:.1f} GiB are there.",
            remedy=_ways(
                (spec.optim.batch_size > 1, "halve the batch size and double accumulation"),
                (True, "lower the cut-off"),
                (not spec.optim.gradient_checkpointing, "switch gradient checkpointing on"),
            ),
        )


def _time(report: PreflightReport, counts: Counts, spec: JobSpec) -> Iterator[ProblemEntry]:
    high, limit = report.seconds.high, spec.limits.wall_seconds
    if high is not None and high > limit:
        limited = spec.optim.max_steps is not None
        yield ProblemEntry(
            where=_LENGTH[limited],
            reason=f"training may take {high / 3600:.1f} hours; an attempt may take "
            f"{limit / 3600:.1f}.",
            remedy=_ways(
                (limited, "lower the steps"),
                (not limited, "lower the epochs or set the steps"),
                (True, "ask for a longer time limit"),
            ),
        )


def _disk(report: PreflightReport, counts: Counts, spec: JobSpec) -> Iterator[ProblemEntry]:
    if report.disk_bytes is not None and report.disk_bytes > spec.limits.disk_bytes:
        yield ProblemEntry(
            where="optim.save_steps",
            reason=f"checkpoints and adapter come to {report.disk_bytes / GIB:.1f} GiB; an attempt "
            f"may use {spec.limits.disk_bytes / GIB:.1f}.",
            remedy="Save less often, or lower the rank.",
        )


def _lost(report: PreflightReport, counts: Counts, spec: JobSpec) -> Iterator[ProblemEntry]:
    if counts.dropped_cut:
        yield ProblemEntry(
            where="optim.cutoff_len",
            reason=f"{counts.dropped_cut:,} records are left out: their answer lies beyond "
            f"{spec.optim.cutoff_len:,} tokens.",
            remedy="Raise the cut-off, or put long texts behind the question.",
        )
    if counts.cut > MUCH * counts.examples:
        yield ProblemEntry(
            where="optim.cutoff_len",
            reason=f"{counts.cut:,} of {counts.examples:,} examples lose their end.",
            remedy="Raise the cut-off, or split long records.",
        )
    if counts.dropped_empty:
        yield ProblemEntry(
            where="dataset",
            reason=f"{counts.dropped_empty:,} records are left out: nothing in them is learnt.",
            remedy="Give an answer a weight above 0, or remove these records.",
        )
    if counts.untranslated:
        yield ProblemEntry(
            where="dataset",
            reason=f"{counts.untranslated:,} records cannot become what this stage learns from.",
            remedy="Remove them, or choose a stage that takes them.",
        )


def _amount(report: PreflightReport, counts: Counts, spec: JobSpec) -> Iterator[ProblemEntry]:
    if counts.records < FEW_RECORDS:
        yield ProblemEntry(
            where="dataset",
            reason=f"{counts.records:,} records are few: a model learns their form at most.",
            remedy="Add records, or look closely at what comes of it.",
        )
    if counts.steps < FEW_STEPS:
        limited = spec.optim.max_steps is not None
        yield ProblemEntry(
            where=_LENGTH[limited],
            reason=f"{counts.steps:,} steps hardly move an adapter.",
            remedy=_ways(
                (limited, "raise the steps"),
                (not limited and spec.optim.gradient_accumulation > 1, "lower accumulation"),
                (not limited, "raise the epochs"),
            ),
        )
    if spec.optim.save_steps > counts.steps > 1:
        yield ProblemEntry(
            where="optim.save_steps",
            reason=f"no checkpoint is saved on the way: there are {counts.steps:,} steps.",
            remedy="Save more often, so that a crash costs less.",
        )


def _quality(report: PreflightReport, counts: Counts, spec: JobSpec) -> Iterator[ProblemEntry]:
    if counts.leaked:
        yield ProblemEntry(
            where="dataset",
            reason=f"{counts.leaked:,} held out records are learnt too: the evaluation flatters.",
            remedy="Split again without duplicates across splits.",
        )
    if counts.placeholders:
        yield ProblemEntry(
            where="dataset",
            reason=f"{counts.placeholders:,} records hold a placeholder that nobody filled in.",
            remedy="Search the draft for them, and publish again.",
        )
    if counts.unended:
        yield ProblemEntry(
            where="template",
            reason=f"{counts.unended:,} examples do not end with a token that ends an answer: the "
            "model may not learn to stop.",
            remedy="Choose a template that ends its turns.",
        )
    if report.padding_share > PADDING_MUCH:
        yield ProblemEntry(
            where="optim.batching",
            reason=f"{report.padding_share:.0%} of what is computed is padding.",
            remedy=_ways(
                (spec.optim.batching == "shuffled", "use grouped rows"),
                (
                    spec.stage in PACKED_STAGES and spec.optim.batching != "packed",
                    "use packed rows",
                ),
                (True, "use a smaller batch"),
            ),
        )


def _ways(*ways: tuple[bool, str]) -> str:
    """Return what mends it: of these ways, those that are open."""
    *others, last = [words for is_open, words in ways if is_open]
    told = f"{', '.join(others)}, or {last}." if others else f"{last}."
    return told[0].upper() + told[1:]


_RULES: tuple[Callable[[PreflightReport, Counts, JobSpec], Iterator[ProblemEntry]], ...] = (
    _memory,
    _time,
    _disk,
    _lost,
    _amount,
    _quality,
)

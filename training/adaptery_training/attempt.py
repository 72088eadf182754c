"""One training attempt, from job spec to adapter folder; reads from top to bottom.

Run as: `python -m adaptery_training --spec job.json --base-model DIR` in the work folder.

It ends with exit code 0 (`adapter/` is there), 1 (the last event is an error with its reason and
remedy), 73 (the disk is full, also for that event) or 75 (asked to stop by SIGTERM; a checkpoint
was saved if any step was done).

It talks to nobody: the agent tails `events.jsonl` and picks up the folders.

Invariants:

1. Everything it writes lies in the work folder; a spec is data and names no paths.
2. An exception ends in exactly one error event. What a library says in it goes nowhere: the log
   gets places in the code, never the text, which may quote a record.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.errors import SpecError
from adaptery.examples import (
    OWN_TEMPLATE,
    TEMPLATE_NAMES,
    epoch_order,
    padding_share,
    prepare,
    row_lengths,
)
from adaptery.schemas.common import parse_json
from adaptery.schemas.events import Evaluation
from adaptery.schemas.spec import JobSpec
from adaptery.spec_rules import spec_problems
from adaptery.stages import EVALUATED_STAGES
from adaptery_training.checkpoints import Checkpoint, fingerprint, open_checkpoint
from adaptery_training.events import EVENTS_NAME, EventLog
from adaptery_training.failures import SpecRefusedError, TimeLimitError, TrainingError, explain
from adaptery_training.inputs import read_inputs
from adaptery_training.machine import (
    choose_precision,
    limit_device_memory,
    limit_memory,
    require_disk,
    set_threads,
    use_tensor_cores,
)
from adaptery_training.run import Metrics, Outcome, ResumePoint, Run
from adaptery_training.stopping import StopRequest

if TYPE_CHECKING:
    from adaptery.examples import ExampleSet
    from adaptery_training.trainer import ResumableTrainer

EXIT_DONE = 0
EXIT_FAILED = 1
#: BSD's EX_CANTCREAT.
EXIT_NO_ROOM = 73
#: BSD's EX_TEMPFAIL: "try again later".
EXIT_STOPPED = 75

RESUME_FOLDER = "resume"
#: Bytes. A spec is a page of numbers.
_SPEC_LIMIT_BYTES = 1 << 20


class StoppedEarly(Exception):
    """The attempt was asked to stop and did, before its last step."""


@dataclass(slots=True)
class _Watch:
    """The trainer's observer: tells the event log, and ends the run in time."""

    events: EventLog
    stop: StopRequest
    spec: JobSpec
    work_folder: Path
    deadline: float  #: on the monotonic clock
    out_of_time: bool = False

    def on_metrics(self, metrics: Metrics) -> None:
        """Tell the numbers of a logging step."""
        self.events.metrics(
            step=metrics.step,
            epoch=metrics.epoch,
            loss=metrics.loss,
            learning_rate=metrics.learning_rate,
            grad_norm=metrics.grad_norm,
            tokens_per_second=metrics.tokens_per_second,
            eval_loss=metrics.eval_loss,
            stage=metrics.stage,
        )

    def on_saving(self, needed_bytes: int) -> None:
        """Refuse a checkpoint that would not fit."""
        require_disk(self.work_folder, needed_bytes, limit_bytes=self.spec.limits.disk_bytes)

    def on_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Tell where the checkpoint is."""
        path = checkpoint.path.relative_to(self.work_folder).as_posix()
        self.events.checkpoint(step=checkpoint.step, path=path, digest=checkpoint.digest)

    def should_stop(self) -> bool:
        """Stop on request, or when the attempt's time is up."""
        self.out_of_time = self.out_of_time or time.monotonic() > self.deadline
        return self.stop.requested or self.out_of_time


def run_attempt(work_folder: Path, spec_name: str, base_folder: Path) -> int:
    """Run one attempt in `work_folder` and return its exit code."""
    stop = StopRequest()
    stop.listen()
    work_folder = work_folder.resolve()
    events = EventLog(work_folder / EVENTS_NAME, echo=sys.stdout.buffer)
    try:
        _train(work_folder, spec_name, base_folder, events, stop)
    except StoppedEarly:
        events.state("stopped")
        return EXIT_STOPPED
    except Exception as error:
        return _fail(error, events)
    finally:
        events.close()
    return EXIT_DONE


def _train(
    work_folder: Path, spec_name: str, base_folder: Path, events: EventLog, stop: StopRequest
) -> None:
    started = time.monotonic()
    spec = read_spec(work_folder, spec_name)
    limit_memory(spec.limits.memory_bytes)

    events.state("loading")
    records = read_inputs(work_folder, spec.inputs)
    resume = _open_resume(work_folder, spec)
    _stop_here_if_asked(stop)

    # From here on torch and transformers are needed; what is refused above is refused at once.
    from adaptery_training import base
    from adaptery_training.adapter_output import write_adapter
    from adaptery_training.adapters import add_adapter, load_start
    from adaptery_training.plain_lora import PlainLora
    from adaptery_training.quiet import seed_everything, silence_libraries
    from adaptery_training.stages import recipe_of

    silence_libraries()
    recipe = recipe_of(spec.stage)
    limit_device_memory(spec.limits.memory_bytes)
    threads, precision = set_threads(), choose_precision(spec.optim.precision)
    use_tensor_cores(precision)
    events.log(f"{precision}, {threads} threads, {len(records.learnt)} records")
    base.check_weights(base_folder, spec.base_model)
    loaded = base.load_base_model(
        base_folder, spec.base_model, precision, spec.template, spec.optim
    )
    _stop_here_if_asked(stop)

    events.state("preparing")
    examples = prepare(records.learnt, records.held_out, loaded.tokenizer, spec)
    del records
    _tell_counts(examples.learnt, spec, events)
    _stop_here_if_asked(stop)

    seed_everything(spec.optim.seed)
    model = recipe.model(loaded.model, examples.learnt)
    adapted = add_adapter(model, spec.lora, spec.base_model.name, task_type=recipe.task_type)
    plain = PlainLora(adapted, spec.lora)
    if spec.start_from is not None:
        load_start(adapted, work_folder, spec.start_from)
    watch = _Watch(events, stop, spec, work_folder, started + spec.limits.wall_seconds)
    run = Run(spec, work_folder, loaded, plain, watch)
    trainer = recipe.trainer(adapted, examples.learnt, examples.held_out, run)
    events.state(
        "training",
        total_steps=trainer.total_steps,
        resumed_step=resume.step if resume else None,
    )
    outcome = trainer.train_from(resume)
    _check_end(outcome, watch)

    evaluation = _evaluate(trainer, examples.held_out, run, watch)
    events.state("saving")
    watch.on_saving(0)
    info = write_adapter(work_folder, plain, spec, outcome.summary, evaluation, precision=precision)
    events.log(f"adapter of rank {info.rank} written, {info.bytes} bytes")
    events.summary(outcome.summary, evaluation)


def _evaluate(
    trainer: ResumableTrainer, held_out: ExampleSet | None, run: Run, watch: _Watch
) -> Evaluation | None:
    """Compare base model and adapter; whatever goes wrong, there is an adapter to hand in.

    Raises:
        StoppedEarly: the attempt was asked to stop; all steps are in the last checkpoint.
    """
    from adaptery_training.evaluation import EvaluationEndedError, Evaluator

    if not run.spec.eval.examples or run.spec.stage not in EVALUATED_STAGES:
        return None
    if held_out is None:
        watch.events.log("nothing was held out, so the adapter is not evaluated")
        return None
    watch.events.state("evaluating")
    try:
        autocast = trainer.compute_loss_context_manager
        return Evaluator(trainer.adapted, held_out, run, autocast).evaluate()
    except EvaluationEndedError:
        _stop_here_if_asked(watch.stop)
        watch.events.log("time was up before the adapter was evaluated", "warning")
    except Exception as error:
        _write_places(error)
        reason = explain(error).message
        watch.events.log(f"the adapter was not evaluated: {reason}", "warning")
    return None


def read_spec(work_folder: Path, name: str) -> JobSpec:
    """Read the job spec from the work folder and refuse what this worker does not do.

    Raises:
        SpecRefusedError: naming the field.
    """
    path = (work_folder / name).resolve()
    if not path.is_relative_to(work_folder):
        raise SpecRefusedError("The job spec lies outside the work folder.")
    try:
        if path.stat().st_size > _SPEC_LIMIT_BYTES:
            raise SpecRefusedError("The job spec is too large.")
        spec = parse_json(JobSpec, path.read_bytes(), SpecError)
    except OSError as error:
        raise SpecRefusedError(f"The job spec cannot be read ({type(error).__name__}).") from None
    except SpecError as error:
        fields = "; ".join(f"{problem.where} {problem.reason}" for problem in error.errors)
        raise SpecRefusedError(f"The job spec is not valid: {fields}") from None
    if spec.template not in (OWN_TEMPLATE, *TEMPLATE_NAMES):
        known = ", ".join((OWN_TEMPLATE, *TEMPLATE_NAMES))
        raise SpecRefusedError("template: there is none of that name.", remedy=f"Use {known}.")
    for problem in spec_problems(spec):
        raise SpecRefusedError(f"{problem.where}: {problem.reason}", remedy=problem.remedy)
    return spec


def _open_resume(work_folder: Path, spec: JobSpec) -> ResumePoint | None:
    if spec.resume_from is None:
        return None
    folder = work_folder / RESUME_FOLDER
    wanted = spec.resume_from
    progress = open_checkpoint(
        folder, step=wanted.step, digest=wanted.digest, fingerprint=fingerprint(spec)
    )
    return ResumePoint(wanted.step, folder, progress)


def _tell_counts(examples: ExampleSet, spec: JobSpec, events: EventLog) -> None:
    lost = examples.cut + examples.dropped_cut + examples.dropped_empty
    events.log(examples.describe(), "warning" if lost else "info")
    lengths = row_lengths(examples.lengths, spec.optim)
    order = epoch_order(lengths, spec.optim, epoch=0)
    share = padding_share(lengths, order, spec.optim.batch_size)
    events.log(f"{share:.1%} of the computed tokens are padding")


def _check_end(outcome: Outcome, watch: _Watch) -> None:
    if outcome.finished:
        return
    if watch.out_of_time and not watch.stop.requested:
        raise TimeLimitError(
            f"The attempt reached its limit of {watch.spec.limits.wall_seconds} seconds at step "
            f"{outcome.step}; a checkpoint was saved."
        )
    raise StoppedEarly


def _stop_here_if_asked(stop: StopRequest) -> None:
    if stop.requested:
        raise StoppedEarly  # nothing is lost: no step was done, or the last one is saved


def _fail(error: Exception, events: EventLog) -> int:
    told = explain(error)
    try:
        events.error(told)
        if not isinstance(error, TrainingError):
            _write_places(error)
    except OSError:  # the disk is full to the last byte, where the log lies too
        return EXIT_NO_ROOM
    return EXIT_FAILED


def _write_places(error: Exception) -> None:
    """Write the type of an error and the places it passed to the worker's own log, not its text."""
    sys.stderr.write(f"{type(error).__module__}.{type(error).__qualname__}{os.linesep}")
    sys.stderr.writelines(traceback.format_tb(error.__traceback__))

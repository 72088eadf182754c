"""The Trainer of transformers, made to resume exactly; what every stage shares.

Ours are: the order of the examples, the checkpoint folder, the log. The Trainer's are the loop,
gradient accumulation, clipping, optimizer, scheduler, and their states in a checkpoint. A stage
adds its collator and its loss.

It writes no events; it tells an `Observer`.

Invariants:

1. 2N steps in one go, and N steps, kill -9, resume, N steps, give the same losses in fp32.
2. A loss or gradient that is no number ends the run before it reaches the weights.
3. Every checkpoint comes right after a log, so that a logging window never spans a resume.
4. An evaluation leaves no trace: the steps after it are the same as without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from peft import PeftModel, set_peft_model_state_dict
from peft.optimizers import create_loraplus_optimizer
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from adaptery.adapter_folders import WEIGHTS_NAME
from adaptery.examples import epoch_order
from adaptery.schemas.spec import OptimSpec
from adaptery_training.checkpoints import Progress, fingerprint, save_checkpoint
from adaptery_training.failures import CheckpointUnusableError, DivergedError
from adaptery_training.held_out import HeldOut
from adaptery_training.machine import peak_memory_bytes
from adaptery_training.plain_lora import Weights
from adaptery_training.run import Metrics, Outcome, ResumePoint, Run
from adaptery_training.trainer_arguments import training_arguments

#: The adapter in the form it is trained in, where that is not the form it is handed in.
TRAINED_WEIGHTS = "trained.safetensors"
#: The adapter of the best evaluation, in the form it is trained in.
BEST_WEIGHTS = "best.safetensors"
TRAINER_STATE = "trainer_state.json"

Collate = Callable[[Sequence[Any]], dict[str, Tensor]]


class ResumableTrainer(Trainer):
    """The Trainer with our order, checkpoints and log, which goes on exactly where it was killed.

    It also mixes with a trainer of trl, put before it. An example is anything with a length in
    tokens. A batch holds `weights`, whose sum is how much the batch counts in a step's mean.
    """

    def __init__(
        self,
        model: PeftModel,
        examples: Sequence[Sized],
        held_out: Sequence[Sized],
        run: Run,
        collate: Collate,
        *,
        arguments: TrainingArguments | None = None,
        **more: Any,
    ) -> None:
        self._run = run
        self.adapted = model
        self._collate = collate
        self._held_out = HeldOut(held_out, run.spec)
        self._best_weights: Weights | None = None
        self._lengths = [len(example) for example in examples]
        self._samples = len(examples)
        self._before = Progress()
        self._best = self._before.best
        self._started = self._logged_at = run.clock()
        self._logged_tokens = 0
        self.initialise(
            model=model,
            args=arguments or training_arguments(run, TrainingArguments),
            train_dataset=_ExampleDataset(examples),
            data_collator=collate,
            callbacks=[_StopAndLog(self._should_stop, self._held_out)],
            **more,
        )
        self.remove_callback(PrinterCallback)  # prints to stdout, where the events go
        self.model_accepts_loss_kwargs = True  # the loss below is already divided ...
        self.loss_is_scaled_for_ga = True  # ... by the weight of the whole optimizer step

    def initialise(self, **arguments: Any) -> None:
        """Set up the trainer that this one is mixed with."""
        super().__init__(**arguments)

    def stage_metrics(self) -> dict[str, float]:
        """Return what the stage measured since the last log, by the names of `MetricsEvent`."""
        return {}

    def batch_loss(
        self, model: torch.nn.Module, batch: dict[str, Tensor], total_weight: Tensor | float
    ) -> Tensor:
        """Return the loss of a batch, weighted, divided by the weight of the whole step."""
        raise NotImplementedError

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole job."""
        return self.set_initial_training_values(self.args, self.get_train_dataloader())[-1]

    def train_from(self, resume: ResumePoint | None) -> Outcome:
        """Train to the last step, or until the observer asks to stop.

        Raises:
            DivergedError: a loss or a gradient is not a number.
            CheckpointUnusableError: the checkpoint does not fit this model.
        """
        if resume is not None:
            self._before = resume.progress
            self._best = resume.progress.best
        self._started = self._logged_at = self._run.clock()
        if resume is not None and self._is_done(resume.step):
            # Only the adapter was left to write; the Trainer would run one step too many.
            self._load_from_checkpoint(str(resume.folder))
            self.state = TrainerState.load_from_json(str(resume.folder / TRAINER_STATE))
        else:
            self.train(resume_from_checkpoint=str(resume.folder) if resume else None)
        finished = self._is_done(self.state.global_step)
        if finished and self._best_weights is not None:
            set_peft_model_state_dict(self.adapted, self._best_weights)
        return Outcome(finished, self.state.global_step, self._summary())

    def _is_done(self, step: int) -> bool:
        return step >= self.total_steps or self._held_out.is_over(self._best)

    def _summary(self) -> dict[str, float]:
        """Return the Trainer's summary for the whole job, over all attempts that led here.

        The Trainer's own counts this process only.
        """
        progress, steps = self._progress(), max(self.state.global_step, 1)
        epoch, seconds = float(self.state.epoch or 0), max(progress.train_seconds, 1e-3)
        summary = {
            "epoch": epoch,
            "train_runtime": round(progress.train_seconds, 3),
            "train_samples_per_second": round(epoch * self._samples / seconds, 3),
            "train_steps_per_second": round(self.state.global_step / seconds, 3),
            "total_flos": float(self.state.total_flos),
            "train_loss": progress.loss_sum / steps,
            "tokens": self.state.num_input_tokens_seen,
            "peak_memory_bytes": progress.peak_memory_bytes,
        }
        if progress.best.loss is not None:
            summary |= {"eval_loss": progress.best.loss, "best_step": progress.best.step}
        return summary

    def _progress(self) -> Progress:
        return Progress(
            loss_sum=self._before.loss_sum + getattr(self, "_total_loss_scalar", 0.0),
            train_seconds=self._before.train_seconds + self._run.clock() - self._started,
            peak_memory_bytes=max(self._before.peak_memory_bytes, peak_memory_bytes()),
            best=self._best,
        )

    def _should_stop(self) -> bool:
        return self._run.observer.should_stop()

    # ---- what the Trainer calls ----

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        return EpochSampler(self._lengths, self._run.spec.optim)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Return AdamW, which moves B faster than A if the job asks for it."""
        ratio = self._run.spec.optim.loraplus_ratio
        if ratio is None or self.optimizer is not None:
            return super().create_optimizer(model)
        kind, options = self.get_optimizer_cls_and_kwargs(self.args)
        self.optimizer = create_loraplus_optimizer(
            self.adapted,
            kind,
            loraplus_lr_ratio=ratio,
            loraplus_weight_decay=self.args.weight_decay,
            **options,
        )
        return self.optimizer

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor | int | None]:
        """Count weights instead of tokens, for the mean over a whole optimizer step."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        total = sum(batch["weights"].sum() for batch in batches)
        return batches, torch.as_tensor(total, device=device)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of the stage.

        Raises:
            DivergedError: it is not a number.
        """
        assert num_items_in_batch is not None and not return_outputs
        loss = self.batch_loss(model, inputs, num_items_in_batch)
        if not bool(torch.isfinite(loss)):
            raise DivergedError(f"The loss is not a number at step {self.state.global_step + 1}.")
        return loss

    def _get_grad_norm(
        self, model: torch.nn.Module, grad_norm: torch.Tensor | float | None = None
    ) -> torch.Tensor | float | None:
        norm = super()._get_grad_norm(model, grad_norm)
        # In fp16 the gradient is scaled up until it overflows; such a step is skipped.
        if norm is not None and not math.isfinite(norm) and self.accelerator.scaler is None:
            raise DivergedError(
                f"The gradient is not a number at step {self.state.global_step + 1}."
            )
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Tell the observer the numbers of a logging step; the end summary is our own."""
        if "loss" not in logs:
            return
        now, tokens = self._run.clock(), int(self.state.num_input_tokens_seen)
        grad_norm = logs.get("grad_norm")
        seconds = max(now - self._logged_at, 1e-6)
        self._run.observer.on_metrics(
            Metrics(
                step=self.state.global_step,
                epoch=float(self.state.epoch or 0),
                loss=logs["loss"],
                learning_rate=logs["learning_rate"],
                grad_norm=grad_norm if grad_norm and math.isfinite(grad_norm) else None,
                tokens_per_second=(tokens - self._logged_tokens) / seconds,
                eval_loss=self._evaluate_if_due(),
                stage=self.stage_metrics(),
            )
        )
        self._logged_at, self._logged_tokens = self._run.clock(), tokens

    def _evaluate_if_due(self) -> float | None:
        step = self.state.global_step
        if not self._held_out.is_due(step, self.state.max_steps):
            return None
        loss = self.held_out_loss()
        self._best = self._best.follow(loss, step)
        if self._held_out.keeps_best and self._best.step == step:
            self._best_weights = self._run.plain.trained()
        if self._held_out.is_over(self._best):
            self.control.should_save = self.control.should_training_stop = True
        return loss

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Return the mean loss on what is held out, without dropout or noise.

        Raises:
            DivergedError: it is not a number.
        """
        self.adapted.eval()
        loss, weight = 0.0, 0.0
        for examples in self._held_out.batches():
            # Not by a data loader: that would draw from torch's random state.
            batch: dict[str, Any] = self._prepare_inputs(self._collate(examples))
            with self.compute_loss_context_manager():
                loss += float(self.batch_loss(self.adapted, batch, 1.0))
            weight += float(batch["weights"].sum())
        self.adapted.train()
        if not math.isfinite(loss):
            raise DivergedError(f"The held out loss is no number at step {self.state.global_step}.")
        return loss / weight

    def _save_checkpoint(self, model: torch.nn.Module, trial: Mapping[str, Any] | None) -> None:
        self.store_flos()
        trainable = sum(p.numel() * p.element_size() for p in _trainable(self.model))
        copies = 4 if self._held_out.keeps_best else 3  # the weights, Adam's two moments, the best
        self._run.observer.on_saving(copies * trainable + self._run.plain.extra_bytes)
        checkpoint = save_checkpoint(
            self._run.checkpoints,
            step=self.state.global_step,
            fingerprint=fingerprint(self._run.spec),
            progress=self._progress(),
            write_files=self._write_states,
        )
        self._run.observer.on_checkpoint(checkpoint)
        self._logged_at = self._run.clock()  # saving is not training

    def _write_states(self, folder: Path) -> None:
        trained = self._run.plain.trained()
        self._run.plain.save(folder, trained)  # so that a checkpoint can be served
        if not self._run.plain.is_trained_form:
            safetensors.torch.save_file(trained, folder / TRAINED_WEIGHTS)
        if self._best_weights is not None:
            safetensors.torch.save_file(self._best_weights, folder / BEST_WEIGHTS)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / TRAINER_STATE))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        # The Trainer's own would fall back to pickled weights. It goes on to load optimizer,
        # scheduler and random states by torch.load(weights_only=True), after our digest check.
        folder = Path(resume_from_checkpoint)
        as_handed_in = self._run.plain.is_trained_form
        weights = self._read_weights(folder / (WEIGHTS_NAME if as_handed_in else TRAINED_WEIGHTS))
        set_peft_model_state_dict(self.adapted, weights)
        if (folder / BEST_WEIGHTS).exists():
            self._best_weights = self._read_weights(folder / BEST_WEIGHTS)
        state = TrainerState.load_from_json(str(folder / TRAINER_STATE))
        self._logged_tokens = int(state.num_input_tokens_seen)

    def _read_weights(self, path: Path) -> Weights:
        weights, wanted = safetensors.torch.load_file(path), self._run.plain.trained()
        if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in wanted.items()}:
            raise CheckpointUnusableError("The checkpoint's adapter has another shape.")
        return weights


class _ExampleDataset(Dataset[Any]):
    """A list of examples by the name that torch wants."""

    def __init__(self, examples: Sequence[Sized]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, position: int) -> Sized:
        return self._examples[position]


class EpochSampler(Sampler[int]):
    """Yields the order of `epoch_order` for the epoch that the Trainer announces."""

    def __init__(self, lengths: list[int], optim: OptimSpec) -> None:
        self._lengths = lengths
        self._optim = optim
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the number of the epoch; called by accelerate's data loader."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self._lengths, self._optim, self._epoch))


class _StopAndLog(TrainerCallback):
    """Asks after each step whether to stop, and lets checkpoints and evaluations follow a log."""

    def __init__(self, should_stop: Callable[[], bool], held_out: HeldOut) -> None:
        self._should_stop = should_stop
        self._held_out = held_out

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        if self._should_stop():
            control.should_save = control.should_training_stop = True
        if control.should_save or self._held_out.is_due(state.global_step, state.max_steps):
            control.should_log = True


def _trainable(model: torch.nn.Module | None) -> Iterator[torch.nn.Parameter]:
    assert model is not None
    return (parameter for parameter in model.parameters() if parameter.requires_grad)

"""The Trainer of transformers, made to resume exactly; what every stage shares.

Ours are: the order of the examples, the checkpoint folder, the log. The Trainer's are the loop,
gradient accumulation, clipping, optimizer, scheduler, and their states in a checkpoint. A stage
adds its collator and its loss.

It writes no events; it tells an `Observer`.

Invariants:

1. 2N steps in one go, and N steps, kill -9, resume, N steps, give the same losses in fp32.
2. A loss or gradient that is no number ends the run before it reaches the weights.
3. Every checkpoint comes right after a log, so that a logging window never spans a resume.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from adaptery.examples import order_by_length
from adaptery_training.checkpoints import Progress, fingerprint, save_checkpoint
from adaptery_training.failures import CheckpointUnusableError, DivergedError
from adaptery_training.run import Metrics, Observer, Outcome, ResumePoint, Run

ADAPTER_WEIGHTS = "adapter_model.safetensors"
TRAINER_STATE = "trainer_state.json"
#: Norm to which gradients are clipped. Source: the default of the Trainer and of LLaMA-Factory.
MAX_GRAD_NORM = 1.0


ArgumentsT = TypeVar("ArgumentsT", bound=TrainingArguments)
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
        self._held_out = held_out
        self._lengths = [len(example) for example in examples]
        self._before = Progress()
        self._started = self._logged_at = run.clock()
        self._logged_tokens = 0
        self.initialise(
            model=model,
            args=arguments or training_arguments(run, TrainingArguments),
            train_dataset=_ExampleDataset(examples),
            data_collator=collate,
            callbacks=[_StopAndLog(run.observer)],
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
        self._started = self._logged_at = self._run.clock()
        if resume is not None and resume.step >= self.total_steps:
            # Only the adapter was left to write; the Trainer would run one step too many.
            self._load_from_checkpoint(str(resume.folder))
            self.state = TrainerState.load_from_json(str(resume.folder / TRAINER_STATE))
        else:
            self.train(resume_from_checkpoint=str(resume.folder) if resume else None)
        step = self.state.global_step
        return Outcome(step >= self.total_steps, step, self._summary())

    def _summary(self) -> dict[str, float]:
        """Return the Trainer's summary for the whole job, over all attempts that led here.

        The Trainer's own counts this process only.
        """
        progress, steps = self._progress(), max(self.state.global_step, 1)
        epoch, seconds = float(self.state.epoch or 0), max(progress.train_seconds, 1e-3)
        return {
            "epoch": epoch,
            "train_runtime": round(progress.train_seconds, 3),
            "train_samples_per_second": round(epoch * len(self._lengths) / seconds, 3),
            "train_steps_per_second": round(self.state.global_step / seconds, 3),
            "total_flos": float(self.state.total_flos),
            "train_loss": progress.loss_sum / steps,
        }

    def _progress(self) -> Progress:
        return Progress(
            loss_sum=self._before.loss_sum + getattr(self, "_total_loss_scalar", 0.0),
            train_seconds=self._before.train_seconds + self._run.clock() - self._started,
        )

    # ---- what the Trainer calls ----

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        optim = self._run.spec.optim
        return _LengthGroupedSampler(self._lengths, optim.batch_size, optim.seed)

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
        if norm is not None and not math.isfinite(norm):
            raise DivergedError(
                f"The gradient is not a number at step {self.state.global_step + 1}."
            )
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Tell the observer the numbers of a logging step; the end summary is our own."""
        if "loss" not in logs:
            return
        now, tokens = self._run.clock(), int(self.state.num_input_tokens_seen)
        seconds = max(now - self._logged_at, 1e-6)
        self._run.observer.on_metrics(
            Metrics(
                step=self.state.global_step,
                epoch=float(self.state.epoch or 0),
                loss=logs["loss"],
                learning_rate=logs["learning_rate"],
                grad_norm=logs.get("grad_norm"),
                tokens_per_second=(tokens - self._logged_tokens) / seconds,
                stage=self.stage_metrics(),
            )
        )
        self._logged_at, self._logged_tokens = now, tokens

    def _save_checkpoint(self, model: torch.nn.Module, trial: Mapping[str, Any] | None) -> None:
        self.store_flos()
        trainable = sum(p.numel() * p.element_size() for p in _trainable(self.model))
        self._run.observer.on_saving(3 * trainable)  # the weights and Adam's two moments
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
        weights = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        safetensors.torch.save_file(weights, folder / ADAPTER_WEIGHTS, {"format": "pt"})
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / TRAINER_STATE))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        # The Trainer's own would fall back to pickled weights. It goes on to load optimizer,
        # scheduler and random states by torch.load(weights_only=True), after our digest check.
        weights = safetensors.torch.load_file(Path(resume_from_checkpoint) / ADAPTER_WEIGHTS)
        wanted = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in wanted.items()}:
            raise CheckpointUnusableError("The checkpoint's adapter has another shape.")
        set_peft_model_state_dict(self.model, weights)
        self._logged_tokens = int(
            TrainerState.load_from_json(
                str(Path(resume_from_checkpoint) / TRAINER_STATE)
            ).num_input_tokens_seen
        )


class _ExampleDataset(Dataset[Any]):
    """A list of examples by the name that torch wants."""

    def __init__(self, examples: Sequence[Sized]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, position: int) -> Sized:
        return self._examples[position]


class _LengthGroupedSampler(Sampler[int]):
    """Yields the order of `order_by_length` for the epoch that the Trainer announces."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the number of the epoch; called by accelerate's data loader."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(
            order_by_length(
                self._lengths, batch_size=self._batch_size, seed=self._seed, epoch=self._epoch
            )
        )


class _StopAndLog(TrainerCallback):
    """Asks the observer after each step, and lets every checkpoint follow a log."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        if self._observer.should_stop():
            control.should_save = control.should_training_stop = True
        if control.should_save:
            control.should_log = True


def _trainable(model: torch.nn.Module | None) -> Iterator[torch.nn.Parameter]:
    assert model is not None
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


def training_arguments(run: Run, kind: type[ArgumentsT], **more: Any) -> ArgumentsT:
    """Return the Trainer's arguments of a job; `more` are those of a kind of trl's."""
    optim = run.spec.optim
    warm_constant = optim.scheduler == "constant" and optim.warmup_ratio > 0
    return kind(
        output_dir=str(run.checkpoints),
        per_device_train_batch_size=optim.batch_size,
        gradient_accumulation_steps=optim.gradient_accumulation,
        num_train_epochs=optim.epochs,
        max_steps=optim.max_steps or -1,  # the Trainer's word for "by epochs"
        learning_rate=optim.learning_rate,
        lr_scheduler_type="constant_with_warmup" if warm_constant else optim.scheduler,
        warmup_steps=min(optim.warmup_ratio, 1 - 1e-6),  # from 1 on it would mean steps
        max_grad_norm=MAX_GRAD_NORM,
        optim="adamw_torch",
        seed=optim.seed,
        logging_steps=optim.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it would hide a diverged run behind the last mean
        save_strategy="steps",
        save_steps=optim.save_steps,
        include_num_input_tokens_seen="non_padding",
        remove_unused_columns=False,  # the columns of a batch are ours
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        report_to=[],
        **more,
    )

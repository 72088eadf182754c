"""A job's options in the words of the Trainer."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from transformers import TrainingArguments

from adaptery_training.run import Run

ArgumentsT = TypeVar("ArgumentsT", bound=TrainingArguments)


def training_arguments(run: Run, kind: type[ArgumentsT], **more: Any) -> ArgumentsT:
    """Return the Trainer's arguments of a job; `more` are those of a kind of trl's."""
    optim = run.spec.optim
    warm_constant = optim.scheduler == "constant" and optim.warmup_ratio > 0
    arguments = dict(
        output_dir=str(run.checkpoints),
        per_device_train_batch_size=optim.batch_size,
        gradient_accumulation_steps=optim.gradient_accumulation,
        num_train_epochs=optim.epochs,
        max_steps=optim.max_steps or -1,  # the Trainer's word for "by epochs"
        learning_rate=optim.learning_rate,
        lr_scheduler_type="constant_with_warmup" if warm_constant else optim.scheduler,
        warmup_steps=min(optim.warmup_ratio, 1 - 1e-6),  # from 1 on it would mean steps
        lr_scheduler_kwargs={"lr_end": 0.0} if optim.scheduler == "polynomial" else None,
        weight_decay=optim.weight_decay,
        max_grad_norm=optim.max_grad_norm,
        neftune_noise_alpha=optim.neftune_alpha,
        activation_checkpointing=optim.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        fp16=optim.precision == "fp16",
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
    )
    return kind(**{**arguments, **more})

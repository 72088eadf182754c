"""What a trainer of trl needs to work with ours: losses and what they measure are trl's.

trl would prepare a dataset, write a model card and tell its makers that it is used. Here it gets
batches that are ready, writes nothing and talks to nobody.

A stage derives from `TrlTrainer` and then from trl's trainer, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainingArguments

from adaptery.examples import ChatTokenizer, Example, ExampleSet
from adaptery.spec_rules import MOVING_INITS
from adaptery_training.answer_head import see_only_answers
from adaptery_training.labelled_loss import IGNORED, Collator
from adaptery_training.plain_lora import ADAPTER_NAME
from adaptery_training.run import Run
from adaptery_training.trainer import Collate, ResumableTrainer
from adaptery_training.trainer_arguments import training_arguments

#: trl's name of the copy of an adapter that training began with.
REFERENCE_NAME = "ref"


class TrlTrainer(ResumableTrainer):
    """Hands our batches to trl's loss, and takes what it measures."""

    #: What trl measures, by the names of `MetricsEvent`.
    measures: ClassVar[Mapping[str, str]] = {}
    #: trl's: what it measured since the last log, while it trains and while it evaluates.
    _metrics: dict[str, dict[str, list[float]]]

    def __init__(
        self,
        model: PeftModel,
        examples: ExampleSet[Any],
        held_out: ExampleSet[Any] | None,
        run: Run,
        collate: Collate,
        arguments: TrainingArguments,
        *,
        pad_token_id: int | None = None,
        **more: Any,
    ) -> None:
        if run.spec.lora.init in MOVING_INITS:
            # trl makes its copy as this one was made, which would move base weights again.
            cast("LoraConfig", model.peft_config[ADAPTER_NAME]).init_lora_weights = True
        padding = run.base.pad_token_id if pad_token_id is None else pad_token_id
        super().__init__(
            model,
            examples.examples,
            held_out.examples if held_out else (),
            run,
            collate,
            arguments=arguments,
            processing_class=trl_tokenizer(run.base.tokenizer, padding),
            **more,
        )
        base = cast("PreTrainedModel", model.get_base_model())
        if base.get_output_embeddings() is not None:  # it makes words; see `rm` for what does not
            see_only_answers(base)
        if REFERENCE_NAME in model.peft_config and _starts_as_base(run):
            # The base model without the adapter is the same, and costs nothing.
            model.delete_adapter(REFERENCE_NAME)

    def initialise(self, *, train_dataset: Any, data_collator: Any, **arguments: Any) -> None:
        """Set up trl's trainer, which takes datasets of one library only and looks into them."""
        super().initialise(train_dataset=Dataset.from_dict({"prompt": [""]}), **arguments)
        self.train_dataset = train_dataset
        self.data_collator = data_collator

    def batch_loss(
        self, model: torch.nn.Module, batch: dict[str, Tensor], total_weight: Tensor | float
    ) -> Tensor:
        """Return trl's mean over the batch, as its part of the mean over the whole step."""
        weight = batch["weights"].sum()
        inputs = {name: tensor for name, tensor in batch.items() if name != "weights"}
        return self.trl_loss(model, inputs) * weight / total_weight

    def trl_loss(self, model: torch.nn.Module, inputs: Any) -> Tensor:
        """Return the loss of trl's trainer, which stands behind ours."""
        loss = super(ResumableTrainer, self).compute_loss(model, inputs)
        assert isinstance(loss, Tensor)
        if not model.training:
            self._metrics["eval"].clear()  # nobody asks
        return loss

    def stage_metrics(self) -> dict[str, float]:
        """Return means of what trl measured since the last log."""
        measured = self._metrics["train"]
        found = {ours: measured.get(theirs) for ours, theirs in self.measures.items()}
        means = {name: sum(values) / len(values) for name, values in found.items() if values}
        measured.clear()
        return means

    def _prepare_dataset(
        self, dataset: Any, processing_class: Any, args: Any, dataset_name: str
    ) -> Any:
        return dataset

    def _send_telemetry(self) -> None:
        pass


def trl_arguments(run: Run, kind: type[TrainingArguments], **more: Any) -> TrainingArguments:
    """Return the arguments of a trainer of trl."""
    return training_arguments(
        run,
        kind,
        bf16=False,  # the base model is loaded in the precision that it computes in
        disable_dropout=run.spec.lora.dropout == 0,  # what a job asks for is done
        **more,
    )


def trl_tokenizer(tokenizer: ChatTokenizer, pad_token_id: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of the class that trl wants; it pads and decodes, and reads no text."""
    inner = Tokenizer.from_str(tokenizer.to_json())
    padding = inner.id_to_token(pad_token_id)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=padding,
        eos_token=tokenizer.eos_token or padding,  # trl wants some
    )


def answer_rows(examples: Sequence[Example], pad_token_id: int) -> dict[str, Tensor]:
    """Return `input_ids`, `attention_mask` and `completion_mask`, each [B, T]."""
    rows = Collator(pad_token_id)(examples)
    return {
        "input_ids": rows["input_ids"],
        "attention_mask": rows["attention_mask"],
        "completion_mask": (rows["labels"] != IGNORED).long(),
    }


def _starts_as_base(run: Run) -> bool:
    """Whether the model with its adapter begins as the base model without it."""
    return run.spec.start_from is None and run.spec.lora.init not in MOVING_INITS

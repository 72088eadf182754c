"""Loads the base model that the job names, and puts an empty LoRA adapter on it.

It never looks beyond the given folder: no Hub, no code that comes with a model, no pickled weights.

Invariants:

1. The weights are digested again from their files; what `base_model.json` claims is not believed.
   An adapter trained on other weights than its card names would be worthless.
2. Only the adapter is trainable.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.base_models import weight_digest
from adaptery.errors import AdapteryError
from adaptery.schemas.spec import BaseModelRef, LoraSpec
from adaptery_training.examples import ChatTokenizer
from adaptery_training.failures import BaseModelError, BaseModelMismatchError, SpecRefusedError
from adaptery_training.machine import Precision

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

#: Peft's name of the only adapter of a training model.
ADAPTER_NAME = "default"


def check_weights(folder: Path, wanted: BaseModelRef) -> None:
    """Compare the weights in `folder` with the digest that the spec names.

    Raises:
        BaseModelError: there are no readable weights.
        BaseModelMismatchError: they are other weights.
    """
    try:
        found = weight_digest(folder)
    except (AdapteryError, OSError, ValueError) as error:
        raise BaseModelError(
            f"The weights of {wanted.name} cannot be read ({type(error).__name__})."
        ) from None
    if found != wanted.weight_digest:
        raise BaseModelMismatchError(
            f"The weights of {wanted.name} on this agent have the digest {found}, "
            f"the job asks for {wanted.weight_digest}."
        )


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """A base model in memory."""

    model: PreTrainedModel
    tokenizer: ChatTokenizer
    pad_token_id: int


def load_base_model(folder: Path, wanted: BaseModelRef, precision: Precision) -> LoadedBase:
    """Load model and tokenizer.

    Raises:
        BaseModelError: config, tokenizer or weights cannot be read, or no chat template is there.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,  # unset, a config that names code makes it ask on stdin
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise BaseModelError(f"{wanted.name} cannot be loaded ({type(error).__name__}).") from error
    if not tokenizer.is_fast or not tokenizer.chat_template:
        raise BaseModelError(
            f"{wanted.name} has no fast tokenizer with a chat template.",
            remedy="Choose an instruction-tuned base model.",
        )
    return LoadedBase(model, tokenizer, _pad_token_id(tokenizer))


def add_lora(model: PreTrainedModel, lora: LoraSpec, base_name: str) -> PeftModel:
    """Return the model with a fresh adapter; torch's random state decides its first weights.

    Raises:
        SpecRefusedError: a target is no linear layer of this model.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    _check_targets(model, lora)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType] - peft takes any number
        lora_dropout=lora.dropout,
        target_modules=sorted(lora.targets),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_name,
    )
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by the old name; nothing that we could change.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(model, config, adapter_name=ADAPTER_NAME)
    assert isinstance(adapted, PeftModel)
    # get_peft_model puts the local path back; what is published names our id and no path.
    adapted.peft_config[ADAPTER_NAME].base_model_name_or_path = base_name
    return adapted


def _check_targets(model: PreTrainedModel, lora: LoraSpec) -> None:
    from torch import nn

    head = model.get_output_embeddings()
    known = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    if unknown := sorted(set(lora.targets) - known):
        raise SpecRefusedError(
            f"lora.targets: this base model has no linear layer {', '.join(unknown)}.",
            remedy=f"Choose from {', '.join(sorted(known))}.",
        )


def _pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    # It fills rows and is masked everywhere, so any token will do.
    for token_id in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token_id, int):
            return token_id
    return 0

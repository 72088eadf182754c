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
from adaptery.errors import AdapteryError, InvalidInputError
from adaptery.examples import OWN_TEMPLATE, ChatTokenizer
from adaptery.schemas.spec import BaseModelRef, LoraSpec
from adaptery_training.failures import BaseModelError, BaseModelMismatchError, SpecRefusedError
from adaptery_training.machine import Precision

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

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

    @property
    def pad_token_id(self) -> int:
        """What fills rows; it is masked everywhere."""
        return self.tokenizer.pad_token_id


def load_base_model(
    folder: Path, wanted: BaseModelRef, precision: Precision, template: str = OWN_TEMPLATE
) -> LoadedBase:
    """Load model and tokenizer, the latter with the chat template of that name.

    Raises:
        BaseModelError: config, tokenizer or weights cannot be read.
        SpecRefusedError: the template does not fit this base model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        tokenizer = ChatTokenizer(folder, template)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,  # unset, a config that names code makes it ask on stdin
        )
    except InvalidInputError as error:
        if template != OWN_TEMPLATE:
            raise SpecRefusedError(f"template: {error.message}", remedy=error.hint) from None
        raise BaseModelError(f"{wanted.name}: {error.message}", remedy=error.hint) from None
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise BaseModelError(f"{wanted.name} cannot be loaded ({type(error).__name__}).") from error
    return LoadedBase(model, tokenizer)


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

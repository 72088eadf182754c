"""Loads the base model that the job names.

It never looks beyond the given folder: no Hub, no code that comes with a model, no pickled weights.

Invariant: the weights are digested again from their files; what `base_model.json` claims is not
believed. An adapter trained on other weights than its card names would be worthless.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptery.base_models import weight_digest
from adaptery.errors import AdapteryError, InvalidInputError
from adaptery.examples import OWN_TEMPLATE, ChatTokenizer
from adaptery.schemas.spec import BaseModelRef, OptimSpec
from adaptery_training.failures import (
    BaseModelError,
    BaseModelMismatchError,
    SpecRefusedError,
    lacks_memory,
)
from adaptery_training.machine import Precision

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel


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
    folder: Path,
    wanted: BaseModelRef,
    precision: Precision,
    template: str = OWN_TEMPLATE,
    optim: OptimSpec = OptimSpec(),  # noqa: B008 - frozen
) -> LoadedBase:
    """Load model and tokenizer, the latter with the chat template of that name.

    Raises:
        BaseModelError: config, tokenizer or weights cannot be read.
        SpecRefusedError: the template does not fit this base model, or this machine lacks what the
            spec asks for.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from adaptery_training import cpu_attention

    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    options = {**_attention(optim), **_quantization(optim, dtype)}
    try:
        tokenizer = ChatTokenizer(folder, template)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            config=_with_rope(AutoConfig.from_pretrained(folder, local_files_only=True), optim),
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,  # unset, a config that names code makes it ask on stdin
            **options,
        )
    except InvalidInputError as error:
        if template != OWN_TEMPLATE:
            raise SpecRefusedError(f"template: {error.message}", remedy=error.hint) from None
        raise BaseModelError(f"{wanted.name}: {error.message}", remedy=error.hint) from None
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        if lacks_memory(error):
            raise
        raise BaseModelError(f"{wanted.name} cannot be loaded ({type(error).__name__}).") from error
    if optim.attention == "auto":
        cpu_attention.use_in(model)
    return LoadedBase(model, tokenizer)


def _attention(optim: OptimSpec) -> dict[str, Any]:
    from transformers.utils.import_utils import is_flash_attn_2_available

    if optim.attention == "auto":
        return {}
    if optim.attention == "flash":
        if not is_flash_attn_2_available():
            raise SpecRefusedError(
                "optim.attention: flash needs a GPU and the package flash-attn on the agent.",
                remedy="Use auto, which takes the fastest that is there.",
            )
        return {"attn_implementation": "flash_attention_2"}
    return {"attn_implementation": optim.attention}


def _quantization(optim: OptimSpec, dtype: torch.dtype) -> dict[str, Any]:
    """Return the options that load the linear layers in 8 or 4 bits.

    Source: Dettmers et al., 2023, "QLoRA": NF4, and the scales quantized too.
    """
    if optim.quantization == "none":
        return {}
    import torch
    from transformers import BitsAndBytesConfig
    from transformers.utils.import_utils import is_bitsandbytes_available

    if not is_bitsandbytes_available():
        raise SpecRefusedError(
            f"optim.quantization: {optim.quantization} needs bitsandbytes, which this agent lacks.",
            remedy="Use none, or ask an administrator to install the package.",
        )
    config = BitsAndBytesConfig(
        load_in_8bit=optim.quantization == "8bit",
        load_in_4bit=optim.quantization == "4bit",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
    )
    return {
        "quantization_config": config,
        "device_map": {"": 0 if torch.cuda.is_available() else "cpu"},
    }


def _with_rope(config: PretrainedConfig, optim: OptimSpec) -> PretrainedConfig:
    """Return the config with positions stretched as the spec asks for."""
    if optim.rope is not None:
        trained = config.max_position_embeddings
        config.rope_parameters = {
            **config.rope_parameters,
            "rope_type": optim.rope.kind,
            "factor": optim.rope.factor,
            "original_max_position_embeddings": trained,
        }
        if optim.rope.kind != "dynamic":  # which stretches only beyond this
            config.max_position_embeddings = int(trained * optim.rope.factor)
    return config

"""Puts a new adapter on a base model: empty, or going on from an adapter in the work folder.

Invariants:

1. Only the adapter is trainable.
2. An adapter that training goes on from computes the same before the first step as it did where it
   was trained, whatever rank and scale the new one has.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptery.adapter_folders import inspect_adapter
from adaptery.errors import InvalidInputError
from adaptery.schemas.spec import LoraSpec, StartSpec
from adaptery.spec_rules import LOKR_FACTOR, MOVING_INITS
from adaptery_training.failures import DataIntegrityError, SpecRefusedError
from adaptery_training.plain_lora import ADAPTER_NAME

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from transformers import PreTrainedModel

START_FOLDER = "start"
#: Ours by Peft's names. LoftQ is our own, see there.
_PEFT_INITS: Mapping[str, Any] = {
    "default": True,
    "gaussian": "gaussian",
    "olora": "olora",
    "pissa": "pissa",
    "loftq": True,
}


def add_adapter(
    model: PreTrainedModel, lora: LoraSpec, base_name: str, *, task_type: str = "CAUSAL_LM"
) -> PeftModel:
    """Return the model with a fresh adapter; torch's random state decides its first weights.

    Raises:
        SpecRefusedError: a target is no linear layer of this model, or too narrow for the start.
    """
    from peft import PeftModel, get_peft_model

    from adaptery_training.fused_lora import fuse_lora

    shared = {"target_modules": _targets(model, lora), "task_type": task_type}
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by the old name; nothing that we could change.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(model, _config(lora, shared), adapter_name=ADAPTER_NAME)
    assert isinstance(adapted, PeftModel)
    # get_peft_model puts the local path there; what is published names our id and no path.
    adapted.peft_config[ADAPTER_NAME].base_model_name_or_path = base_name
    if lora.init == "loftq":
        _start_by_loftq(adapted)
    fuse_lora(adapted)
    return adapted


def _config(lora: LoraSpec, shared: dict[str, Any]) -> PeftConfig:
    from peft import LoHaConfig, LoKrConfig, LoraConfig

    if lora.kind == "loha":
        return LoHaConfig(r=lora.rank, alpha=lora.alpha, **shared)  # pyright: ignore[reportArgumentType]
    if lora.kind == "lokr":
        return LoKrConfig(
            r=lora.rank,
            alpha=lora.alpha,  # pyright: ignore[reportArgumentType] - peft takes any number
            decompose_factor=LOKR_FACTOR,
            **shared,
        )
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        init_lora_weights=_PEFT_INITS[lora.init],
        **shared,
    )


def _targets(model: PreTrainedModel, lora: LoraSpec) -> list[str]:
    from torch import nn

    known = {
        name.rpartition(".")[2]: min(module.in_features, module.out_features)
        for name, module in model.base_model.named_modules()  # all but the head
        if isinstance(module, nn.Linear)
    }
    wanted = set(known) if "all" in lora.targets else set(lora.targets)
    if unknown := sorted(wanted - set(known)):
        raise SpecRefusedError(
            f"lora.targets: this base model has no linear layer {', '.join(unknown)}.",
            remedy=f"Choose from {', '.join(sorted(known))}.",
        )
    narrowest = min(known[name] for name in wanted)
    if lora.init in MOVING_INITS and lora.rank > narrowest:
        raise SpecRefusedError(
            f"lora.rank: the start {lora.init} takes no more than the {narrowest} that the "
            "narrowest target has.",
            remedy=f"Use {narrowest} or less, or another start.",
        )
    return sorted(wanted)


def _start_by_loftq(model: PeftModel) -> None:
    from adaptery_training import loftq

    for layer in _lora_layers(model):
        base = layer.get_base_layer().weight
        base.data, a, b = loftq.fit(base.data, layer.r[ADAPTER_NAME])
        layer.lora_A[ADAPTER_NAME].weight.data.copy_(a)
        layer.lora_B[ADAPTER_NAME].weight.data.copy_(b / layer.scaling[ADAPTER_NAME])


def _lora_layers(model: PeftModel) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [module for module in model.modules() if isinstance(module, LoraLayer)]


def load_start(model: PeftModel, work_folder: Path, wanted: StartSpec) -> None:
    """Give the fresh adapter the weights of the one in `start/`.

    A higher rank keeps its further rows of A as they are, with nothing in B for them to move yet. A
    model that is to score takes over the head too, if there is one.

    Raises:
        DataIntegrityError: it is not the adapter that the spec names.
        SpecRefusedError: it does not fit into the adapter that the spec describes.
    """
    folder = work_folder / START_FOLDER
    try:
        found = inspect_adapter(folder)
    except (InvalidInputError, OSError) as error:
        raise DataIntegrityError(
            f"The adapter to go on from cannot be read ({type(error).__name__})."
        ) from None
    if found.weight_digest != wanted.weight_digest:
        raise DataIntegrityError("The adapter to go on from is not the one that the job names.")
    head: Any = getattr(model.get_base_model(), "score", None)  # of stage rm
    if found.kind == "reward" and head is None:
        raise SpecRefusedError(
            "start_from: the adapter scores answers, and this stage writes them.",
            remedy="Go on from an adapter that answers.",
        )
    model.load_adapter(str(folder), START_FOLDER)
    for layer in _lora_layers(model):
        _take_over(layer)
    if found.kind == "reward":
        saved = head.modules_to_save
        saved[ADAPTER_NAME].load_state_dict(saved[START_FOLDER].state_dict())
    model.delete_adapter(START_FOLDER)


def _take_over(layer: Any) -> None:
    if START_FOLDER not in layer.lora_A:
        return
    if ADAPTER_NAME not in layer.lora_A:
        raise SpecRefusedError(
            "lora.targets: the adapter to go on from changes more layers.",
            remedy="Target the same layers, or all.",
        )
    start, rank = layer.r[START_FOLDER], layer.r[ADAPTER_NAME]
    if start > rank:
        raise SpecRefusedError(
            f"lora.rank: the adapter to go on from has rank {start}, more than {rank}.",
            remedy=f"Use a rank of {start} or more.",
        )
    a, b = (half[ADAPTER_NAME].weight.data for half in (layer.lora_A, layer.lora_B))
    scale = layer.scaling[START_FOLDER] / layer.scaling[ADAPTER_NAME]
    a[:start] = layer.lora_A[START_FOLDER].weight.data
    b[:, :start] = layer.lora_B[START_FOLDER].weight.data * scale

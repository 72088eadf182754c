"""The plain LoRA that computes what a trained adapter computes: the form that is handed in.

An engine serves two matrices for each layer, A [R, in] and B [out, R], on untouched base weights.
Not every adapter is trained in that form:

- LoHa is the elementwise product of two products of rank R. That is a product of rank R^2 whose
  columns are the products of all pairs of columns (the face-splitting product).
  Source: Hyeon-Woo et al., 2022, "FedPara", proposition 1.
- LoKr is the Kronecker product of two matrices, and kron(U1 V1, U2 V2) = kron(U1, U2) kron(V1, V2).
- OLoRA, PiSSA and LoftQ start with part of the base weights in A and B. On untouched base weights
  the adapter is the difference to its start: (B, -B0) (A; A0), of rank 2R.

Invariant: the result is exact but for rounding, whatever was trained. For LoftQ that means exact on
the weights as its paper has them, the quantized ones plus A0 and B0, which are nearly the base's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from adaptery.adapter_folders import RANK_LIMIT, WEIGHTS_NAME
from adaptery.schemas.spec import LoraSpec
from adaptery.spec_rules import MOVING_INITS
from adaptery_training.failures import SpecRefusedError

#: Peft's name of the only adapter of a training model.
ADAPTER_NAME = "default"

Weights = dict[str, Tensor]


class _Pair(NamedTuple):
    a: Tensor  # [R, in]
    b: Tensor  # [out, R]


class PlainLora:
    """How one adapter in training becomes plain LoRA; made before its first step.

    Raises:
        SpecRefusedError: the rank would be more than an engine takes.
    """

    def __init__(self, model: PeftModel, lora: LoraSpec) -> None:
        self._model = model
        self._lora = lora
        self._start = self.trained() if lora.init in MOVING_INITS else None
        pairs = self._pairs(self.trained()).values()
        rank = max(pair.a.shape[0] for pair in pairs)
        #: What the plain form takes beside the trained one.
        self.extra_bytes = 0
        if not self.is_trained_form:
            self.extra_bytes = sum(half.nbytes for pair in pairs for half in pair)
        if rank > RANK_LIMIT:
            raise SpecRefusedError(
                f"lora.rank: on this base model the adapter is of rank {rank} as it is served; "
                f"{RANK_LIMIT} is the most."
            )

    @property
    def is_trained_form(self) -> bool:
        """Whether the adapter is trained in the form that is handed in."""
        return self._lora.kind == "lora" and self._start is None

    def trained(self) -> Weights:
        """Return a copy of the weights in the form they are trained in, by Peft's names."""
        weights = get_peft_model_state_dict(self._model, save_embedding_layers=False)
        return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}

    @contextmanager
    def as_base(self) -> Iterator[None]:
        """Let the model compute what the base model alone does."""
        if self._start is None:
            with self._model.disable_adapter():
                yield
            return
        learnt = self.trained()
        set_peft_model_state_dict(self._model, self._start)  # the base holds the rest
        try:
            yield
        finally:
            set_peft_model_state_dict(self._model, learnt)

    def save(self, folder: Path, trained: Weights) -> None:
        """Write Peft's two files of the plain LoRA that computes what `trained` does.

        Raises:
            OSError: they cannot be written.
        """
        config = copy.copy(self._model.peft_config[ADAPTER_NAME])
        weights = trained
        if not self.is_trained_form:
            pairs = self._pairs(trained)
            weights = {n: t for n, t in trained.items() if _module_of(n) not in pairs}
            for module, pair in pairs.items():
                weights[f"{module}.lora_A.weight"] = pair.a.contiguous()
                weights[f"{module}.lora_B.weight"] = pair.b.contiguous()
            config = self._plain_config({m: pair.a.shape[0] for m, pair in pairs.items()})
        config.inference_mode = True
        folder.mkdir(exist_ok=True)
        safetensors.torch.save_file(weights, folder / WEIGHTS_NAME, {"format": "pt"})
        config.save_pretrained(str(folder))

    def _pairs(self, trained: Weights) -> dict[str, _Pair]:
        """Return A and B of each layer, before they are scaled."""
        layers: dict[str, Weights] = {}
        for name, tensor in trained.items():
            module, _, part = name.removesuffix(".weight").rpartition(".")
            if part.startswith(("lora_", "hada_", "lokr_")):
                layers.setdefault(module, {})[part] = tensor.float()
        if self._lora.kind == "loha":
            return {module: _loha_pair(parts) for module, parts in layers.items()}
        if self._lora.kind == "lokr":
            return {module: _lokr_pair(parts) for module, parts in layers.items()}
        pairs = {m: _Pair(parts["lora_A"], parts["lora_B"]) for m, parts in layers.items()}
        if self._start is None:
            return pairs
        start = {
            m: _Pair(self._start[f"{m}.lora_A.weight"], self._start[f"{m}.lora_B.weight"])
            for m in pairs
        }
        return {module: _difference(pair, start[module]) for module, pair in pairs.items()}

    def _plain_config(self, ranks: Mapping[str, int]) -> LoraConfig:
        """Return Peft's config of a plain LoRA that scales each layer as the trained one does."""
        trained = self._model.peft_config[ADAPTER_NAME]
        scale = self._lora.alpha / (self._lora.rank**0.5 if self._lora.rslora else self._lora.rank)
        highest = max(ranks.values())
        # A layer's rank depends on its shape, and its shape on the last part of its name.
        others = {m.rpartition(".")[2]: rank for m, rank in ranks.items() if rank != highest}
        return LoraConfig(
            r=highest,
            lora_alpha=scale * highest,  # pyright: ignore[reportArgumentType] - any number will do
            rank_pattern=others,
            alpha_pattern={name: scale * rank for name, rank in others.items()},  # pyright: ignore[reportArgumentType]
            target_modules=sorted({module.rpartition(".")[2] for module in ranks}),
            task_type=trained.task_type,
            modules_to_save=getattr(trained, "modules_to_save", None),  # a reward model's head
            base_model_name_or_path=trained.base_model_name_or_path,
        )


def _module_of(name: str) -> str:
    return name.removesuffix(".weight").rpartition(".")[0]


def _loha_pair(parts: Weights) -> _Pair:
    out_1, in_1 = parts["hada_w1_a"], parts["hada_w1_b"]  # [out, R], [R, in]
    out_2, in_2 = parts["hada_w2_a"], parts["hada_w2_b"]
    b = (out_1[:, :, None] * out_2[:, None, :]).flatten(1)  # [out, R*R]
    a = (in_1[:, None, :] * in_2[None, :, :]).flatten(0, 1)  # [R*R, in]
    return _Pair(a, b)


def _lokr_pair(parts: Weights) -> _Pair:
    outer, inner = _factors(parts, "lokr_w1"), _factors(parts, "lokr_w2")
    return _Pair(torch.kron(outer.a, inner.a), torch.kron(outer.b, inner.b))


def _factors(parts: Weights, name: str) -> _Pair:
    """Return two factors of one matrix of LoKr; a whole one is its own, beside the identity."""
    if name not in parts:
        return _Pair(parts[f"{name}_b"], parts[f"{name}_a"])
    whole = parts[name]
    rows, columns = whole.shape
    return _Pair(whole, torch.eye(rows)) if rows <= columns else _Pair(torch.eye(columns), whole)


def _difference(pair: _Pair, start: _Pair) -> _Pair:
    return _Pair(torch.cat([pair.a, start.a]), torch.cat([pair.b, -start.b], dim=1))

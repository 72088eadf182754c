"""Reads the weights of a base model from its safetensors files, fused as the model wants them.

Nothing but safetensors is read: pickled weights could run code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from adaptery.errors import InvalidInputError
from adaptery_inference.models.spec import ModelSpec


@dataclass(frozen=True)
class Linear:
    """A dense layer."""

    weight: torch.Tensor  # [out, in]
    bias: torch.Tensor | None  # [out]


@dataclass(frozen=True)
class LayerWeights:
    """One decoder layer."""

    input_norm: torch.Tensor  # [D]
    qkv: Linear  # [(H + 2 K) * C, D]
    q_norm: torch.Tensor | None  # [C]
    k_norm: torch.Tensor | None  # [C]
    o: Linear  # [D, H * C]
    post_norm: torch.Tensor  # [D]
    gate_up: Linear  # [2 * intermediate, D]
    down: Linear  # [D, intermediate]


@dataclass(frozen=True)
class ModelWeights:
    """All layers, the embedding and the head."""

    embedding: torch.Tensor  # [V, D]
    layers: tuple[LayerWeights, ...]
    norm: torch.Tensor  # [D]
    head: torch.Tensor  # [V, D]


def read_model_weights(
    folder: Path, spec: ModelSpec, dtype: torch.dtype, device: torch.device
) -> ModelWeights:
    """Read all weights of a base model.

    Raises:
        InvalidInputError: a file cannot be read, or a tensor is missing or has another shape.
    """
    reader = _Reader(_read_tensors(folder), dtype, device)
    embedding = reader.take("model.embed_tokens.weight", (spec.vocabulary, spec.hidden))
    head = embedding
    if not spec.tied_head:
        head = reader.take("lm_head.weight", (spec.vocabulary, spec.hidden))
    layers = tuple(_read_layer(reader, spec, index) for index in range(spec.layers))
    return ModelWeights(embedding, layers, reader.take("model.norm.weight", (spec.hidden,)), head)


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InvalidInputError(
            "The base model folder holds no .safetensors file.",
            hint="convert the model with `python -m adaptery_inference convert`",
        )
    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                tensors |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError) as error:
            raise InvalidInputError(f"{file.name} of the base model cannot be read.") from error
    return tensors


class _Reader:
    """Hands out tensors once, checked and converted."""

    def __init__(
        self, tensors: dict[str, torch.Tensor], dtype: torch.dtype, device: torch.device
    ) -> None:
        self._tensors = tensors
        self._dtype = dtype
        self._device = device

    def take(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        tensor = self._tensors.pop(name, None)
        if tensor is None:
            raise InvalidInputError(f"The base model has no tensor {name!r}.")
        if tuple(tensor.shape) != shape:
            raise InvalidInputError(
                f"The tensor {name!r} of the base model has the shape {list(tensor.shape)}; "
                f"its config.json says {list(shape)}."
            )
        return tensor.to(device=self._device, dtype=self._dtype)

    def linear(self, prefix: str, names: Sequence[str], spec: ModelSpec, *, bias: bool) -> Linear:
        """The linears ``names`` as one, their outputs after another."""
        shapes = spec.module_shapes()
        weights = [self.take(f"{prefix}.{name}.weight", shapes[name]) for name in names]
        biases = (
            [self.take(f"{prefix}.{name}.bias", shapes[name][:1]) for name in names] if bias else []
        )
        return Linear(torch.cat(weights), torch.cat(biases) if biases else None)


def _read_layer(reader: _Reader, spec: ModelSpec, index: int) -> LayerWeights:
    prefix = f"model.layers.{index}"
    attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
    head = (spec.head_dim,)
    return LayerWeights(
        input_norm=reader.take(f"{prefix}.input_layernorm.weight", (spec.hidden,)),
        qkv=reader.linear(attention, ("q_proj", "k_proj", "v_proj"), spec, bias=spec.qkv_bias),
        q_norm=reader.take(f"{attention}.q_norm.weight", head) if spec.qk_norm else None,
        k_norm=reader.take(f"{attention}.k_norm.weight", head) if spec.qk_norm else None,
        o=reader.linear(attention, ("o_proj",), spec, bias=spec.output_bias),
        post_norm=reader.take(f"{prefix}.post_attention_layernorm.weight", (spec.hidden,)),
        gate_up=reader.linear(mlp, ("gate_proj", "up_proj"), spec, bias=spec.mlp_bias),
        down=reader.linear(mlp, ("down_proj",), spec, bias=spec.mlp_bias),
    )

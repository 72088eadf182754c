"""What a base model looks like, read from its ``config.json``. No torch.

The Llama family differs in a few switches only: a bias on q/k/v (Qwen2), norms on q and k (Qwen3),
a tied head (SmolLM2, small Qwen), scaled rotary frequencies (Llama 3). A config that asks for
anything else is refused when the engine starts: a model that is almost right answers nonsense.

Source: transformers ``models/{llama,mistral,qwen2,qwen3}/modeling_*.py``, 5.23.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from adaptery.errors import InvalidInputError

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
ROPE_TYPES = ("default", "linear", "llama3")
_Config = Mapping[str, object]


@dataclass(frozen=True)
class RopeSpec:
    """How positions turn into rotary angles."""

    theta: float
    kind: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192


@dataclass(frozen=True)
class ModelSpec:
    """The shape of a base model."""

    architecture: str
    vocabulary: int  # V
    hidden: int  # D
    intermediate: int
    layers: int
    heads: int  # H
    kv_heads: int  # K
    head_dim: int  # C
    context_tokens: int
    norm_epsilon: float
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    tied_head: bool
    rope: RopeSpec
    dtype: str
    eos_tokens: tuple[int, ...]

    def kv_bytes_per_token(self, element_bytes: int) -> int:
        """Bytes of keys and values that one token needs in all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * element_bytes

    def module_shapes(self) -> dict[str, tuple[int, int]]:
        """(out, in) of each linear that an adapter may change, by its name in PEFT folders."""
        query, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (query, self.hidden),
            "k_proj": (kv, self.hidden),
            "v_proj": (kv, self.hidden),
            "o_proj": (self.hidden, query),
            "gate_proj": (self.intermediate, self.hidden),
            "up_proj": (self.intermediate, self.hidden),
            "down_proj": (self.hidden, self.intermediate),
        }


def read_model_spec(folder: Path) -> ModelSpec:
    """Read and check the config of a base model.

    Raises:
        InvalidInputError: the folder holds no model of the Llama family that we can compute.
    """
    config = _read_json(folder / "config.json")
    generation_path = folder / "generation_config.json"
    generation = _read_json(generation_path) if generation_path.exists() else {}
    return parse_model_spec(config, generation)


def parse_model_spec(config: _Config, generation: _Config) -> ModelSpec:
    """Make a spec of the two parsed files.

    Raises:
        InvalidInputError: a value is missing, or asks for what we cannot compute.
    """
    architecture = _architecture(config)
    hidden, heads = _integer(config, "hidden_size"), _integer(config, "num_attention_heads")
    bias = bool(config.get("attention_bias", False))
    return ModelSpec(
        architecture=architecture,
        vocabulary=_integer(config, "vocab_size"),
        hidden=hidden,
        intermediate=_integer(config, "intermediate_size"),
        layers=_integer(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=_integer(config, "num_key_value_heads", heads),
        head_dim=_integer(config, "head_dim", hidden // heads),
        context_tokens=_context_tokens(config),
        norm_epsilon=float(cast("float", config.get("rms_norm_eps", 1e-6))),
        qkv_bias=architecture == "Qwen2ForCausalLM" or bias,
        output_bias=bias and architecture != "Qwen2ForCausalLM",
        mlp_bias=bool(config.get("mlp_bias", False)),
        qk_norm=architecture == "Qwen3ForCausalLM",
        tied_head=bool(config.get("tie_word_embeddings", False)),
        rope=_rope(config),
        dtype=str(config.get("dtype") or config.get("torch_dtype") or "float32"),
        eos_tokens=_eos_tokens(config, generation),
    )


def _read_json(path: Path) -> _Config:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"{path.name} of the base model cannot be read.",
            hint="point --model to a folder made by `python -m adaptery_inference convert`",
        ) from error


def _architecture(config: _Config) -> str:
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    if name not in ARCHITECTURES:
        raise InvalidInputError(
            f"The engine cannot compute the architecture {name!r}; "
            f"it computes {', '.join(ARCHITECTURES)}."
        )
    activation = config.get("hidden_act", "silu")
    if activation != "silu":
        raise InvalidInputError(f"The engine cannot compute the activation {activation!r}.")
    if config.get("quantization_config"):
        raise InvalidInputError("The base model is quantised; convert it first.")
    return str(name)


def _integer(config: _Config, key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or value <= 0:
        raise InvalidInputError(f"config.json of the base model has no usable {key!r}.")
    return value


def _context_tokens(config: _Config) -> int:
    """The longest sequence; a sliding window is honoured by never growing beyond it."""
    context = _integer(config, "max_position_embeddings")
    window = config.get("sliding_window")
    slides = config.get("use_sliding_window", True)
    return min(context, window) if isinstance(window, int) and slides else context


def _rope(config: _Config) -> RopeSpec:
    """Transformers 5 writes ``rope_parameters``, older ones ``rope_theta`` and ``rope_scaling``."""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    assert isinstance(found, Mapping)
    rope = cast("Mapping[str, float]", found)
    kind = str(rope.get("rope_type") or rope.get("type") or "default")
    if kind not in ROPE_TYPES:
        raise InvalidInputError(f"The engine cannot compute rotary embeddings of type {kind!r}.")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise InvalidInputError("The engine cannot compute partial rotary embeddings.")
    theta = rope.get("rope_theta") or cast("float", config.get("rope_theta", 10000.0))
    return RopeSpec(
        theta=float(theta),
        kind=kind,
        factor=float(rope.get("factor", 1.0)),
        low_freq_factor=float(rope.get("low_freq_factor", 1.0)),
        high_freq_factor=float(rope.get("high_freq_factor", 4.0)),
        original_context=int(rope.get("original_max_position_embeddings", 8192)),
    )


def _eos_tokens(config: _Config, generation: _Config) -> tuple[int, ...]:
    found: set[int] = set()
    for source in (generation, config):
        value = source.get("eos_token_id")
        values = value if isinstance(value, list) else [value]
        found.update(token for token in values if isinstance(token, int))
    return tuple(sorted(found))

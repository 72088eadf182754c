"""How strongly each module of an adapter acts, from its ``adapter_config.json``. No torch.

PEFT lets patterns give single modules another rank or alpha. The rank of a module is seen in its
tensors; here they are only compared with what the config promises.

Source: peft 0.21 ``utils/other.py`` (``get_pattern_key``) and ``tuners/lora/layer.py``
(``update_layer``: alpha / r, or alpha / sqrt(r) for rsLoRA).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from adaptery.errors import InvalidInputError

V = TypeVar("V")


@dataclass(frozen=True)
class AdapterScaling:
    """Ranks and alphas of an adapter."""

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    rank_stabilised: bool

    def rank_of(self, module: str) -> int:
        """The rank that the config promises for a module such as ``model.layers.0.mlp.up_proj``."""
        return _by_pattern(self.rank_pattern, module, self.rank)

    def factor(self, module: str) -> float:
        """What the product of B and A is multiplied with."""
        alpha = _by_pattern(self.alpha_pattern, module, self.alpha)
        rank = self.rank_of(module)
        return alpha / math.sqrt(rank) if self.rank_stabilised else alpha / rank


def read_adapter_scaling(folder: Path) -> AdapterScaling:
    """Read the part of the config that scales.

    Raises:
        InvalidInputError: the config cannot be read or a value has the wrong type.
    """
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return AdapterScaling(
            rank=int(config["r"]),
            alpha=float(config["lora_alpha"]),
            rank_pattern={str(k): int(v) for k, v in (config.get("rank_pattern") or {}).items()},
            alpha_pattern={
                str(k): float(v) for k, v in (config.get("alpha_pattern") or {}).items()
            },
            rank_stabilised=bool(config.get("use_rslora")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            "adapter_config.json cannot be read, or its ranks and alphas are not numbers.",
            hint="save the adapter with PEFT again",
        ) from error


def _by_pattern(patterns: Mapping[str, V], module: str, default: V) -> V:
    for pattern, value in patterns.items():
        try:
            matches = re.match(rf"(.*\.)?({pattern})$", module)
        except re.error as error:
            raise InvalidInputError(
                f"adapter_config.json has a pattern that is no regular expression: {pattern!r}."
            ) from error
        if matches:
            return value
    return cast("V", default)

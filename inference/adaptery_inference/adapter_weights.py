"""Loads a PEFT adapter folder as tensors, after checking that it fits the base model.

What needs no torch (file types, header, refused kinds of adapter) is checked by
``adaptery.adapter_folders``; here names, shapes and ranks are held against the base model.

Invariants:
* nothing but safetensors is read;
* an adapter is refused as a whole: no tensor is skipped, nothing is loaded in part.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from adaptery.adapter_folders import RANK_LIMIT, WEIGHTS_NAME, inspect_adapter
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.examples import OWN_TEMPLATE
from adaptery_inference.adapter_scaling import AdapterScaling, read_adapter_scaling
from adaptery_inference.engine.adapters import Adapter
from adaptery_inference.layers.lora import AdapterWeights, LowRank
from adaptery_inference.models.spec import ModelSpec

#: ``base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight``, as PEFT writes it.
_TENSOR_NAME = re.compile(
    r"(?:base_model\.model\.)?"
    r"(?P<module>model\.layers\.(?P<layer>\d+)\.(?:self_attn|mlp)\.(?P<linear>[a-z]+_proj))"
    r"\.lora_(?P<side>[AB])(?:\.default)?\.weight"
)


@dataclass(frozen=True)
class AdapterLimits:
    """What the engine accepts."""

    max_rank: int = RANK_LIMIT


class _Card(NamedTuple):
    """What matters here of `card.json`, which adapters of ours have."""

    base_weight_digest: str | None = None
    template: str = OWN_TEMPLATE


class AdapterReader:
    """Reads adapters for one base model."""

    def __init__(
        self,
        spec: ModelSpec,
        dtype: torch.dtype,
        device: torch.device,
        limits: AdapterLimits,
        base_weight_digest: str | None,
    ) -> None:
        self._spec = spec
        self._dtype = dtype
        self._device = device
        self._limits = limits
        self._base_weight_digest = base_weight_digest

    def open(self, folder: Path) -> tuple[Adapter, AdapterWeights]:
        """Validate and load an adapter.

        Raises:
            InvalidInputError: the adapter is broken or is not for this base model.
        """
        info = inspect_adapter(folder)
        if info.kind == "reward":
            raise InvalidInputError(
                "The adapter scores answers and writes none: it is of stage rm.",
                hint="let it judge in a job of stage grpo, and load the adapter that comes of it",
            )
        card = _read_card(folder)
        self._check_base(card)
        scaling = read_adapter_scaling(folder)
        modules = self._modules(_read_tensors(folder / WEIGHTS_NAME), scaling)
        weights = AdapterWeights(info.weight_digest, modules)
        adapter = Adapter(
            digest=info.weight_digest,
            path=folder,
            size_bytes=weights.size_bytes,
            rank=weights.rank,
            template=card.template,
        )
        return adapter, weights

    def read(self, adapter: Adapter) -> AdapterWeights:
        """Load an adapter again that was evicted.

        Raises:
            IntegrityError: its folder holds something else now.
            InvalidInputError: its folder is gone or broken.
        """
        found, weights = self.open(adapter.path)
        if found.digest != adapter.digest:
            raise IntegrityError(
                "The adapter's folder has changed since it was loaded.",
                hint="load it again under its name",
            )
        return weights

    def _check_base(self, card: _Card) -> None:
        """Adapters of ours name the digest of their base in a card; others have no card."""
        digest, ours = card.base_weight_digest, self._base_weight_digest
        if digest is not None and ours is not None and digest != ours:
            raise InvalidInputError(
                "The adapter was trained on another base model: its card names the weight digest "
                f"{digest}, this engine serves {ours}."
            )

    def _modules(
        self, tensors: Mapping[str, torch.Tensor], scaling: AdapterScaling
    ) -> dict[tuple[int, str], LowRank]:
        sides: dict[tuple[str, int, str], dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            match = _TENSOR_NAME.fullmatch(name)
            if match is None or not self._has_module(match):
                raise InvalidInputError(
                    f"The adapter changes {name!r}, which this engine or base model does not have; "
                    f"it may change {', '.join(self._spec.module_shapes())} of "
                    f"{self._spec.layers} layers."
                )
            key = (match["module"], int(match["layer"]), match["linear"])
            sides.setdefault(key, {})[match["side"]] = tensor
        if not sides:
            raise InvalidInputError("The adapter holds no weights: it would change nothing.")
        return {
            (layer, linear): self._low_rank(module, linear, found, scaling)
            for (module, layer, linear), found in sides.items()
        }

    def _has_module(self, match: re.Match[str]) -> bool:
        known = match["linear"] in self._spec.module_shapes()
        return known and int(match["layer"]) < self._spec.layers

    def _low_rank(
        self,
        module: str,
        linear: str,
        found: Mapping[str, torch.Tensor],
        scaling: AdapterScaling,
    ) -> LowRank:
        if set(found) != {"A", "B"}:
            raise InvalidInputError(
                f"The adapter has only one of lora_A and lora_B for {module!r}."
            )
        a, b = found["A"], found["B"]
        rank = scaling.rank_of(module)
        if rank > self._limits.max_rank:
            raise InvalidInputError(
                f"The adapter has rank {rank} at {module!r}; "
                f"this engine takes ranks up to {self._limits.max_rank}."
            )
        outputs, inputs = self._spec.module_shapes()[linear]
        if tuple(a.shape) != (rank, inputs) or tuple(b.shape) != (outputs, rank):
            raise InvalidInputError(
                f"The adapter's matrices at {module!r} have the shapes {list(a.shape)} and "
                f"{list(b.shape)}; base model and config ask for {[rank, inputs]} and "
                f"{[outputs, rank]}."
            )
        scaled = b.float().T * scaling.factor(module)  # [r, out]
        made = LowRank(self._place(a), self._place(scaled))
        if not (made.a.isfinite().all() and made.b.isfinite().all()):
            raise InvalidInputError(f"The adapter's weights at {module!r} are not finite.")
        return made

    def _place(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device=self._device, dtype=self._dtype).contiguous()


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(f"{path.name} of the adapter cannot be read.") from error


def _read_card(folder: Path) -> _Card:
    path = folder / "card.json"
    if not path.exists():
        return _Card()
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        base, spec = (card.get(name) for name in ("base_model", "spec"))
    except (ValueError, RecursionError, AttributeError) as error:
        raise InvalidInputError("card.json of the adapter cannot be read.") from error
    digest = base.get("weight_digest") if isinstance(base, dict) else None
    template = spec.get("template") if isinstance(spec, dict) else None
    return _Card(
        digest if isinstance(digest, str) else None,
        template if isinstance(template, str) else OWN_TEMPLATE,
    )

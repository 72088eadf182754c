"""Low-rank updates for a batch whose rows use different adapters.

Shapes: ``T`` tokens in the flat batch, ``A`` adapters in this step, ``R`` sum of their ranks at
one linear, ``S`` segments, ``in`` and ``out`` of a linear.

The model has four fused linears per layer (*sites*): qkv, o, gate_up, down. A site has one *part*
per original linear, because PEFT trains q, k and v apart. Two ways to compute, chosen per row:

* ``cat`` for rows of a token or few: one product with the A matrices of all adapters, a mask that
  leaves each row its own ranks, then one product per part with all B matrices. No padding, any mix
  of ranks; cheap while ``R`` is a few hundred.
* ``segments`` for long prefill chunks: each chunk with its own adapter's matrices only.

Invariants:
* ``b`` holds the scaling (alpha / r, or alpha / sqrt(r)), so nothing else needs to know it;
* rows without an adapter are not changed by a bit;
* whatever an adapter's matrices do with a row of another tenant (overflow, NaN) stays out of that
  row: it is replaced by zeros, not multiplied by them.

Source: S-LoRA and Punica (2023) for batching adapters; the choice of ``cat`` is measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional

#: The fused linears, and the original linears each is made of, in order of their outputs.
SITES: Mapping[str, tuple[str, ...]] = {
    "qkv": ("q_proj", "k_proj", "v_proj"),
    "o": ("o_proj",),
    "gate_up": ("gate_proj", "up_proj"),
    "down": ("down_proj",),
}


@dataclass(frozen=True)
class LowRank:
    """One adapter at one linear."""

    a: torch.Tensor  # [r, in]
    b: torch.Tensor  # [r, out], scaled


@dataclass(frozen=True, eq=False)
class AdapterWeights:
    """One adapter, in the engine's dtype and on its device."""

    digest: str
    modules: Mapping[tuple[int, str], LowRank]  # by layer and linear

    @property
    def size_bytes(self) -> int:
        """What the tensors take."""
        return sum(m.a.nbytes + m.b.nbytes for m in self.modules.values())

    @property
    def rank(self) -> int:
        """The largest rank of any linear."""
        return max(m.a.shape[0] for m in self.modules.values())


@dataclass(frozen=True)
class _Part:
    ranks: slice  # its rows of the site's A
    columns: slice  # its columns of the site's output
    b: torch.Tensor  # [R of the part, out]


@dataclass(frozen=True)
class _Site:
    a: torch.Tensor  # [R, in]
    owners: torch.Tensor  # [R], the adapter (0 .. A-1) of each rank
    parts: tuple[_Part, ...]


class AdapterStack:
    """The matrices of the adapters of a step, gathered site by site.

    Making one copies the weights, so the runner keeps it while the same adapters are active.
    """

    def __init__(
        self, adapters: Sequence[AdapterWeights], layers: int, widths: Mapping[str, int]
    ) -> None:
        self.adapters = tuple(adapters)
        self._widths = widths
        self._owners: dict[tuple[int, ...], torch.Tensor] = {}
        self._sites = {
            (layer, site): made
            for layer in range(layers)
            for site in SITES
            if (made := self._gather(layer, site)) is not None
        }

    def site(self, layer: int, site: str) -> _Site | None:
        """All adapters' matrices at one site; None when no adapter touches it."""
        return self._sites.get((layer, site))

    def outputs(self, site: str) -> Iterator[tuple[str, slice]]:
        """The original linears of a site, and their columns of its output."""
        start = 0
        for linear in SITES[site]:
            columns = slice(start, start + self._widths[linear])
            start = columns.stop
            yield linear, columns

    def _gather(self, layer: int, site: str) -> _Site | None:
        matrices: list[torch.Tensor] = []
        owners: list[int] = []
        parts: list[_Part] = []
        for linear, columns in self.outputs(site):
            found = [
                (owner, module)
                for owner, adapter in enumerate(self.adapters)
                if (module := adapter.modules.get((layer, linear))) is not None
            ]
            if not found:
                continue
            first_rank = len(owners)
            for owner, module in found:
                matrices.append(module.a)
                owners += [owner] * module.a.shape[0]
            b = torch.cat([module.b for _, module in found])
            parts.append(_Part(slice(first_rank, len(owners)), columns, b))
        if not parts:
            return None
        return _Site(torch.cat(matrices), self._owner_tensor(owners, matrices[0]), tuple(parts))

    def _owner_tensor(self, owners: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """Equal owners share one tensor, so that a mask is made once per step, not per layer."""
        key = tuple(owners)
        if key not in self._owners:
            self._owners[key] = torch.tensor(owners, device=like.device)
        return self._owners[key]


@dataclass(frozen=True)
class Segment:
    """Rows of one prefill chunk, and their adapter."""

    start: int
    end: int
    adapter: int  # 0 .. A-1


@dataclass(frozen=True)
class LoraBatch:
    """Which rows of the flat batch use which adapter."""

    stack: AdapterStack
    segments: tuple[Segment, ...]  # [S]
    mixed: slice  # the rows that are computed together
    row_adapters: torch.Tensor  # [rows in mixed]; A for rows without an adapter
    uniform: bool  # whether all mixed rows use the only adapter, so that no mask is needed
    _masks: dict[int, torch.Tensor] = field(default_factory=dict)  # by id of the owner tensor

    def add(self, layer: int, site: str, x: torch.Tensor, out: torch.Tensor) -> None:
        """Add the update of this site for inputs ``x`` [T, in] to ``out`` [T, sum of outs]."""
        for segment in self.segments:
            self._add_segment(segment, layer, site, x, out)
        whole = self.stack.site(layer, site)
        if whole is None or self.mixed.start == self.mixed.stop:
            return
        low = functional.linear(x[self.mixed], whole.a)  # [rows, R]
        if not self.uniform:
            low.masked_fill_(self._foreign(whole.owners), 0)
        for part in whole.parts:
            out[self.mixed, part.columns].addmm_(low[:, part.ranks], part.b)

    def _add_segment(
        self, segment: Segment, layer: int, site: str, x: torch.Tensor, out: torch.Tensor
    ) -> None:
        rows = slice(segment.start, segment.end)
        modules = self.stack.adapters[segment.adapter].modules
        for linear, columns in self.stack.outputs(site):
            module = modules.get((layer, linear))
            if module is not None:
                low = functional.linear(x[rows], module.a)  # [rows, r]
                out[rows, columns].addmm_(low, module.b)

    def _foreign(self, owners: torch.Tensor) -> torch.Tensor:
        """Where a row meets a rank of an adapter that is not its own."""
        key = id(owners)  # the stack keeps the owners alive as long as this batch lives
        if key not in self._masks:
            self._masks[key] = self.row_adapters[:, None] != owners  # [rows, R]
        return self._masks[key]

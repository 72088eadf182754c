"""Which adapters are known, which lie in memory, and which may leave it.

The store counts; the weights themselves are opaque to it (``W``). It never reads a file.

Words: an adapter is *registered* when a name points to it, *resident* when its weights lie in
memory, *in use* while a running sequence refers to it.

Invariants:
* an adapter's identity is its digest (weights and scaling); a name may be pointed to another
  adapter, rows that run keep the one they started with;
* an adapter in use is never evicted; idle ones leave in order of least recent use;
* the budget is charged ``size_bytes`` per resident or loading adapter, and once more while it is
  in use, because the runner keeps a gathered copy of the active adapters.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from adaptery_inference.engine.budget import Account, MemoryBudget

W = TypeVar("W")


@dataclass(frozen=True)
class Adapter:
    """An adapter that has been validated."""

    digest: str  # identity: the tensors and the numbers that scale them
    path: Path  # where its weights are read from again
    size_bytes: int  # in memory, in the engine's dtype
    rank: int  # the largest of its modules
    template: str = "model"  # the name of the chat template that it was trained with


class AdapterState(StrEnum):
    """Where the weights of an adapter are."""

    ABSENT = "absent"
    LOADING = "loading"
    RESIDENT = "resident"


@dataclass
class _Resident(Generic[W]):
    adapter: Adapter
    weights: W | None = None  # None while loading
    users: int = 0


class AdapterStore(Generic[W]):
    """Names, weights and reference counts of adapters."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self._names: dict[str, Adapter] = {}
        self._residents: OrderedDict[str, _Resident[W]] = OrderedDict()  # least recent first

    def register(self, name: str, adapter: Adapter) -> None:
        """Point ``name`` to ``adapter``, from now on."""
        before = self._names.get(name)
        self._names[name] = adapter
        if before is not None:
            self._drop_unnamed(before)

    def unregister(self, name: str) -> bool:
        """Forget ``name``; say whether it was known."""
        adapter = self._names.pop(name, None)
        if adapter is not None:
            self._drop_unnamed(adapter)
        return adapter is not None

    def find(self, name: str) -> Adapter | None:
        """The adapter that ``name`` points to now."""
        return self._names.get(name)

    def registered(self) -> dict[str, Adapter]:
        """A copy of all names."""
        return dict(self._names)

    def state(self, adapter: Adapter) -> AdapterState:
        """Where the weights of ``adapter`` are."""
        resident = self._residents.get(adapter.digest)
        if resident is None:
            return AdapterState.ABSENT
        return AdapterState.LOADING if resident.weights is None else AdapterState.RESIDENT

    def bytes_in_use(self, adapter: Adapter | None) -> int:
        """What an adapter charges while a row uses it."""
        return 2 * adapter.size_bytes if adapter else 0

    def is_resident(self, adapter: Adapter) -> bool:
        """Whether the weights of ``adapter`` lie in memory."""
        return self.state(adapter) is AdapterState.RESIDENT

    def begin_load(self, adapter: Adapter) -> bool:
        """Charge the memory for ``adapter``, evicting idle ones; False when there is no room."""
        assert self.state(adapter) is AdapterState.ABSENT
        if not self._make_room(adapter.size_bytes, keep=adapter.digest):
            return False
        charged = self.budget.charge(Account.ADAPTERS, adapter.size_bytes)
        assert charged
        self._residents[adapter.digest] = _Resident(adapter)
        return True

    def finish_load(self, adapter: Adapter, weights: W) -> None:
        """Hand over the weights that ``begin_load`` made room for."""
        assert self.state(adapter) is AdapterState.LOADING
        self._residents[adapter.digest].weights = weights

    def fail_load(self, adapter: Adapter) -> None:
        """Give back what ``begin_load`` charged."""
        assert self.state(adapter) is AdapterState.LOADING
        self._remove(adapter.digest)

    def acquire(self, adapter: Adapter) -> bool:
        """Count one more user of a resident adapter; False when its copy finds no room."""
        assert self.state(adapter) is AdapterState.RESIDENT
        resident = self._residents[adapter.digest]
        if resident.users == 0:
            if not self._make_room(adapter.size_bytes, keep=adapter.digest):
                return False
            charged = self.budget.charge(Account.ADAPTERS, adapter.size_bytes)
            assert charged
        resident.users += 1
        self._residents.move_to_end(adapter.digest)
        return True

    def release(self, adapter: Adapter) -> None:
        """Count one user less; the weights stay until the room is needed."""
        resident = self._residents[adapter.digest]
        assert resident.users > 0, "release of an adapter that nobody uses"
        resident.users -= 1
        if resident.users == 0:
            self.budget.refund(Account.ADAPTERS, adapter.size_bytes)
            self._drop_unnamed(adapter)

    def weights(self, adapter: Adapter) -> W:
        """The weights of an adapter that is in use."""
        weights = self._residents[adapter.digest].weights
        assert weights is not None
        return weights

    def evict_idle(self, size_bytes: int) -> bool:
        """Evict idle adapters until ``size_bytes`` are free; False when that is not enough."""
        return self._make_room(size_bytes, keep=None)

    def check_integrity(self) -> None:
        """Prove the invariants; for tests and idle moments."""
        charged = sum(
            r.adapter.size_bytes * (2 if r.users else 1) for r in self._residents.values()
        )
        assert charged == self.budget.used_bytes(Account.ADAPTERS)

    def _make_room(self, size_bytes: int, *, keep: str | None) -> bool:
        if self.budget.free_bytes >= size_bytes:
            return True
        idle = [
            digest
            for digest, resident in self._residents.items()
            if resident.users == 0 and resident.weights is not None and digest != keep
        ]
        reachable = sum(self._residents[digest].adapter.size_bytes for digest in idle)
        if self.budget.free_bytes + reachable < size_bytes:
            return False  # evicting would only cost a reload
        for digest in idle:
            if self.budget.free_bytes >= size_bytes:
                break
            self._remove(digest)
        return True

    def _drop_unnamed(self, adapter: Adapter) -> None:
        """Weights that no name reaches and no row uses are of no use any more."""
        resident = self._residents.get(adapter.digest)
        named = any(other.digest == adapter.digest for other in self._names.values())
        if resident and not named and resident.users == 0 and resident.weights is not None:
            self._remove(adapter.digest)

    def _remove(self, digest: str) -> None:
        resident = self._residents.pop(digest)
        assert resident.users == 0
        self.budget.refund(Account.ADAPTERS, resident.adapter.size_bytes)

"""One memory budget, shared by the KV cache and the adapters.

Who needs memory charges it here first; who gives it back refunds it. The budget does not decide
what to evict: that is the scheduler's work. Base weights and activations are outside of it.

Invariants:
* ``0 <= used <= total_bytes``;
* what one account refunds, it has charged before.

Source: S-LoRA (Sheng et al., 2023), section 5: adapters and KV cache compete for one pool.
"""

from enum import StrEnum


class Account(StrEnum):
    """Who uses memory."""

    KV = "kv"
    ADAPTERS = "adapters"


class MemoryBudget:
    """Counts bytes against one limit."""

    def __init__(self, total_bytes: int) -> None:
        if total_bytes <= 0:
            raise ValueError(f"a memory budget needs at least one byte, not {total_bytes}")
        self.total_bytes = total_bytes
        self._used = dict.fromkeys(Account, 0)

    @property
    def free_bytes(self) -> int:
        """What nobody has charged."""
        return self.total_bytes - sum(self._used.values())

    def used_bytes(self, account: Account) -> int:
        """What ``account`` has charged and not refunded."""
        return self._used[account]

    def charge(self, account: Account, size_bytes: int) -> bool:
        """Take ``size_bytes`` if they are free; say whether they were."""
        assert size_bytes >= 0
        if size_bytes > self.free_bytes:
            return False
        self._used[account] += size_bytes
        return True

    def refund(self, account: Account, size_bytes: int) -> None:
        """Give back ``size_bytes`` charged before."""
        assert 0 <= size_bytes <= self._used[account], "refund of memory that was never charged"
        self._used[account] -= size_bytes

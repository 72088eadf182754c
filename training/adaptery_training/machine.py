"""What the machine offers: cores, number format, memory, disk. Chosen before the model loads.

It does not measure; the choices follow from what the processor says about itself.

Invariants:

1. No more threads than cores that this process may really use: affinity and the container's quota
   count, not the number of cores in the machine. Two threads on one core are slower than one.
2. bf16 only where the processor multiplies it natively. Emulated, it is several times *slower* than
   fp32 (measured on an AVX2 machine: 8 against 61 GFLOP/s on one thread).
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from pathlib import Path
from typing import Literal

from adaptery_training.failures import DiskFullError, SpecRefusedError

Precision = Literal["bf16", "fp16", "fp32"]

#: Processor features, by torch's names, that multiply bf16 in hardware.
_NATIVE_BF16 = ("avx512_bf16", "amx_bf16", "bf16")
#: Bytes that stay free on the disk whatever happens: events and logs must still fit.
_DISK_RESERVE_BYTES = 16 << 20
_CGROUP_V2_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def usable_cores() -> int:
    """Return how many cores this process may keep busy."""
    cores = len(os.sched_getaffinity(0))
    quota = _quota_cores()
    return max(1, min(cores, int(quota)) if quota else cores)


def _quota_cores() -> float | None:
    """Return the container's processor quota in cores, if there is one."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = _CGROUP_V2_QUOTA.read_text().split()
        return int(quota) / int(period)  # "max" is no number: no quota
    with contextlib.suppress(OSError, ValueError):
        quota = int(_CGROUP_V1_QUOTA.read_text())
        return quota / int(_CGROUP_V1_PERIOD.read_text()) if quota > 0 else None
    return None


def set_threads() -> int:
    """Tell torch how many threads to use and return the number; OMP_NUM_THREADS has the say."""
    import torch

    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(wanted) if wanted.isdecimal() and int(wanted) > 0 else usable_cores()
    torch.set_num_threads(threads)
    return threads


def choose_precision(wanted: str) -> Precision:
    """Return the number format of the base model's weights.

    Raises:
        SpecRefusedError: it is fp16, and there is no GPU.
    """
    import torch

    if wanted == "fp16" and not torch.cuda.is_available():
        raise SpecRefusedError(
            "optim.precision: fp16 needs a GPU, and this agent has none.",
            remedy="Use auto, bf16 or fp32.",
        )
    if wanted == "bf16" or wanted == "fp16" or wanted == "fp32":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch cannot say
        return "fp32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if any(capabilities.get(name) for name in _NATIVE_BF16) else "fp32"


def use_tensor_cores(precision: Precision) -> None:
    """Let a GPU multiply the fp32 of adapters in TF32, which is finer than half precision is."""
    import torch

    if precision != "fp32" and torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")


def limit_memory(limit_bytes: int) -> None:
    """Let an attempt that takes more than its share fail by itself, before the kernel kills it."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, hard)
    # RLIMIT_DATA, not RLIMIT_AS: mapped weights and libraries are no memory that we take.
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


def limit_device_memory(limit_bytes: int) -> None:
    """Hold an attempt to its share of the GPU too, if it trains on one: others use it as well."""
    import torch

    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total))


def peak_memory_bytes() -> int:
    """Return the most memory that this process has used: the device's, where it trains on one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def require_disk(work_folder: Path, needed_bytes: int, *, limit_bytes: int | None) -> None:
    """Check that `needed_bytes` more may be written into the work folder.

    Raises:
        DiskFullError: the job's share or the disk itself is too small.
    """
    if limit_bytes is not None:
        used = sum(p.stat().st_size for p in work_folder.rglob("*") if p.is_file())
        if used + needed_bytes > limit_bytes:
            raise DiskFullError(
                f"The attempt may use {limit_bytes} bytes of disk, {used} are used and "
                f"{needed_bytes} more are needed."
            )
    if shutil.disk_usage(work_folder).free < needed_bytes + _DISK_RESERVE_BYTES:
        raise DiskFullError("The agent's disk is full.")

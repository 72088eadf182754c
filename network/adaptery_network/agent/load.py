"""How busy this host is, for the heartbeat. Numbers only; no names of processes or users."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psutil

from adaptery.errors import UnavailableError

#: ``nvidia-smi`` answers in well under a second; a wedged driver must not stop heartbeats.
_GPU_TIMEOUT_SECONDS = 5.0
_GPU_QUERY = (
    "--query-gpu=utilization.gpu,memory.used,memory.total",
    "--format=csv,noheader,nounits",
)
_MIB = 1024 * 1024


class LoadMeter:
    """Measures this host. Each value is a share between 0 and 1 beside its absolute size."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._gpu_tool = shutil.which("nvidia-smi")
        psutil.cpu_percent()  # the first call only sets the mark that later ones measure from

    def measure(self) -> dict[str, object]:
        """Return cpu, memory, disk and, where there is one, gpu. Blocks for a moment."""
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self._disk))
        return {
            "cpu": {"share": psutil.cpu_percent() / 100, "cores": psutil.cpu_count() or 1},
            "memory": {
                "share": memory.percent / 100,
                "total_bytes": memory.total,
                "available_bytes": memory.available,
            },
            "disk": {
                "share": disk.percent / 100,
                "total_bytes": disk.total,
                "free_bytes": disk.free,
            },
            "gpu": self._gpus(),
        }

    def _gpus(self) -> list[dict[str, object]]:
        if self._gpu_tool is None:
            return []
        try:
            return read_gpus(self._gpu_tool)
        except UnavailableError:
            self._gpu_tool = None  # no driver behind the tool: do not ask every two seconds
            return []


def read_gpus(tool: str) -> list[dict[str, object]]:
    """Return load and memory of each NVIDIA device.

    Raises:
        UnavailableError: the tool does not answer or answers something else.
    """
    try:
        answer = subprocess.run(
            [tool, *_GPU_QUERY],
            capture_output=True,
            text=True,
            timeout=_GPU_TIMEOUT_SECONDS,
            check=True,
        )
        rows = [[float(cell) for cell in line.split(",")] for line in answer.stdout.splitlines()]
        return [
            {
                "share": share / 100,
                "used_bytes": int(used * _MIB),
                "total_bytes": int(total * _MIB),
            }
            for share, used, total in rows
        ]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UnavailableError("nvidia-smi does not answer.") from error

"""The pure core is usable, and tested, without torch."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "tokenizers", "safetensors", "numpy")


@pytest.mark.parametrize(
    "module",
    [
        "adaptery_inference",
        "adaptery_inference.engine",
        "adaptery_inference.engine.thread",
        "adaptery_inference.config",
        "adaptery_inference.embedder.batching",
        "adaptery_inference.embedder.main",
        "adaptery_inference.adapter_scaling",
        "adaptery_inference.models.spec",
        "adaptery_inference.server.requests",
        "adaptery_inference.server.answers",
        "adaptery_inference.server.forms",
        "adaptery_inference.__main__",
    ],
)
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"

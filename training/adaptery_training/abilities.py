"""What this machine and environment can beyond the usual; an agent asks before it says so.

Tried, not looked up: a package built for other hardware, or a card without its driver, can nothing.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

#: What the drivers of GPUs make; without any of them there is no need to import torch.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_BITSANDBYTES_LAYERS = {"8bit": "Linear8bitLt", "4bit": "Linear4bit"}
#: Of the layer that is tried: a block of NF4 has 64 weights.
_WIDTH = 64


def find_abilities() -> list[str]:
    """Return those of `adaptery.abilities.ABILITIES` that are there."""
    found: list[str] = []
    with_gpu = any(Path(device).exists() for device in _GPU_DEVICES) and _has_gpu()
    if with_gpu:
        found.append("fp16")
        if find_spec("flash_attn") is not None and _computes_flash():
            found.append("flash")
    if find_spec("bitsandbytes") is not None:
        device = "cuda" if with_gpu else "cpu"
        found += [bits for bits in _BITSANDBYTES_LAYERS if _computes_quantized(bits, device)]
    return found


def _has_gpu() -> bool:
    import torch

    with suppress(RuntimeError):
        return torch.cuda.is_available() and torch.ones(1, device="cuda").item() == 1
    return False


def _computes_quantized(bits: str, device: str) -> bool:
    """Whether a layer of so many bits computes, and lets a gradient through."""
    with suppress(Exception):  # whatever it is that such a library does not find here
        import torch

        layers = import_module("bitsandbytes.nn")  # its types are not here
        layer = getattr(layers, _BITSANDBYTES_LAYERS[bits])(
            _WIDTH, _WIDTH, bias=False, **({"has_fp16_weights": False} if bits == "8bit" else {})
        ).to(device)
        x = torch.ones(1, _WIDTH, device=device, requires_grad=True)
        layer(x).sum().backward()
        return x.grad is not None and bool(x.grad.isfinite().all())
    return False


def _computes_flash() -> bool:
    with suppress(Exception):
        import torch

        q = torch.ones(1, 8, 1, _WIDTH, device="cuda", dtype=torch.bfloat16)
        return bool(import_module("flash_attn").flash_attn_func(q, q, q).isfinite().all())
    return False

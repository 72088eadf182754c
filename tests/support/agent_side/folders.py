"""Adapter folders without torch."""

import json
import struct
from pathlib import Path

from adaptery.adapter_folders import inspect_adapter


def make_adapter(folder: Path, value: float) -> str:
    """Write a rank-2 adapter whose weights are all ``value``; return its weight digest."""
    folder.mkdir(parents=True)
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    header, blob = {}, b""
    for letter, shape in {"A": [2, 4], "B": [4, 2]}.items():
        data = struct.pack("<8f", *[value] * 8)
        place = [len(blob), len(blob) + len(data)]
        header[name.format(letter)] = {"dtype": "F32", "shape": shape, "data_offsets": place}
        blob += data
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + blob)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none"}
    config |= {"target_modules": ["q_proj"], "base_model_name_or_path": "tiny"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return inspect_adapter(folder).weight_digest

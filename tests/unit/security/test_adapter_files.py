"""Adapter folders made to exhaust or hold up whoever inspects them."""

import json
import struct
import time
from pathlib import Path

import pytest

from adaptery.adapter_folders import BESIDE_LIMIT_BYTES, HEADER_LIMIT_BYTES, inspect_adapter
from adaptery.errors import InvalidInputError
from support.agent_side.folders import make_adapter

DIGITS = "9" * 4000


def write_weights(folder: Path, header: str) -> None:
    raw = header.encode()
    data = struct.pack("<Q", len(raw)) + raw + bytes(4)
    (folder / "adapter_model.safetensors").write_bytes(data)


def configure(folder: Path, text: str) -> None:
    """Add raw JSON fields to the config: some are not what `json.dumps` would write."""
    path = folder / "adapter_config.json"
    path.write_text(path.read_text().rstrip("}") + ", " + text + "}")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    make_adapter(tmp_path / "adapter", 0.5)
    return tmp_path / "adapter"


def test_a_shape_of_huge_numbers_costs_no_time(adapter: Path) -> None:
    shape = ",".join([DIGITS] * 500)
    write_weights(adapter, f'{{"a":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,4]}}}}')
    started = time.monotonic()
    with pytest.raises(InvalidInputError):
        inspect_adapter(adapter)
    assert time.monotonic() - started < 2


def test_a_header_beyond_any_adapter_is_not_read(adapter: Path) -> None:
    write_weights(adapter, "{" + " " * HEADER_LIMIT_BYTES + "}")
    with pytest.raises(InvalidInputError, match="header"):
        inspect_adapter(adapter)


@pytest.mark.parametrize("name", ["card.json", "README.md"])
def test_a_file_beside_the_weights_has_a_limit(adapter: Path, name: str) -> None:
    with (adapter / name).open("wb") as stream:
        stream.truncate(BESIDE_LIMIT_BYTES + 1)
    with pytest.raises(InvalidInputError, match="too large"):
        inspect_adapter(adapter)


@pytest.mark.parametrize(
    "text",
    [
        '"lora_alpha": NaN',
        '"lora_alpha": 1e999',
        f'"lora_alpha": {DIGITS}',
        '"lora_alpha": 9007199254740993',
        '"alpha_pattern": {"q_proj": NaN}',
        '"alpha_pattern": {"q_proj": "many"}',
        '"rank_pattern": {"(a+)+!": 2}',
        '"alpha_pattern": {".*.*.*.*": 2}',
        '"alpha_pattern": [1]',
        '"use_rslora": "\\ud800"',
    ],
)
def test_a_config_that_no_adapter_needs_is_refused(adapter: Path, text: str) -> None:
    configure(adapter, text)
    with pytest.raises(InvalidInputError):
        inspect_adapter(adapter)


def test_the_patterns_that_peft_writes_are_taken(adapter: Path) -> None:
    pattern = json.dumps({r"layers\.1\..*up_proj": 2, "^model.layers.0.self_attn.q_proj": 2})
    configure(adapter, f'"rank_pattern": {pattern}')
    assert inspect_adapter(adapter).rank == 2

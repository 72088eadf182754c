"""An adapter that does not fit is refused when it is loaded, with a reason that helps."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptery.errors import InvalidInputError
from adaptery_inference.build import BuiltEngine

WEIGHTS = "adapter_model.safetensors"
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
FIRST_B = FIRST.replace("lora_A", "lora_B")


@pytest.fixture
def folder(adapters: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(adapters["plain"], tmp_path / "adapter")


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)


def beyond_the_last_layer(tensors: dict[str, torch.Tensor]) -> None:
    for name in (FIRST, FIRST_B):
        tensors[name.replace("layers.0", "layers.2")] = tensors.pop(name)


def of_a_wider_model(tensors: dict[str, torch.Tensor]) -> None:
    tensors[FIRST] = torch.ones(4, 128)


def of_the_head(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.lm_head.lora_A.weight"] = torch.ones(4, 64)
    tensors["base_model.model.lm_head.lora_B.weight"] = torch.ones(259, 4)


def not_finite(tensors: dict[str, torch.Tensor]) -> None:
    tensors[FIRST][0, 0] = torch.inf


def without_b(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[FIRST_B]


def changing_nothing(tensors: dict[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if "lora_B" in name:
            tensor.zero_()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (beyond_the_last_layer, "layers.2"),
        (of_a_wider_model, "shapes"),
        (of_the_head, "lm_head"),
        (not_finite, "not finite"),
        (without_b, "only one of"),
        (changing_nothing, "changes nothing"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[dict[str, torch.Tensor]], object],
    reason: str,
    folder: Path,
    build: Callable[..., BuiltEngine],
) -> None:
    change_weights(folder, change)
    with pytest.raises(InvalidInputError, match=reason):
        build().reader.open(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"lora_bias": True},
        {"modules_to_save": ["lm_head"]},
        {"peft_type": "IA3"},
        {"r": 5},
    ],
)
def test_what_is_more_than_plain_lora_is_refused(
    changes: dict[str, object], folder: Path, build: Callable[..., BuiltEngine]
) -> None:
    change_config(folder, **changes)
    with pytest.raises(InvalidInputError, match="adapter"):
        build().reader.open(folder)


def test_a_rank_above_the_limit_is_refused_with_both_numbers(
    folder: Path, build: Callable[..., BuiltEngine]
) -> None:
    with pytest.raises(InvalidInputError, match=r"rank 4 .* up to 3"):
        build(max_adapter_rank=3).reader.open(folder)


def test_a_pickle_is_never_read(folder: Path, build: Callable[..., BuiltEngine]) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(InvalidInputError):
        build().reader.open(folder)


def test_an_adapter_of_other_base_weights_is_refused(
    folder: Path, build: Callable[..., BuiltEngine]
) -> None:
    card = {"base_model": {"name": "tiny/base", "weight_digest": "sha256:" + "0" * 64}}
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(InvalidInputError, match="trained on another base model"):
        build().reader.open(folder)

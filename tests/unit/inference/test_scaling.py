import json
from pathlib import Path

import pytest

from adaptery.errors import InvalidInputError
from adaptery_inference.adapter_scaling import read_adapter_scaling

MODULE = "model.layers.0.self_attn.q_proj"


def scaling(folder: Path, **config: object):
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8, "lora_alpha": 16, **config}))
    return read_adapter_scaling(folder)


def test_alpha_is_divided_by_rank_or_its_root(tmp_path: Path) -> None:
    assert scaling(tmp_path).factor(MODULE) == 2.0
    assert scaling(tmp_path, r=16, use_rslora=True).factor(MODULE) == 4.0


def test_patterns_give_modules_their_own_rank_and_alpha(tmp_path: Path) -> None:
    found = scaling(
        tmp_path, rank_pattern={r"layers\.0\..*q_proj": 4}, alpha_pattern={"q_proj": 32}
    )
    assert found.rank_of(MODULE) == 4
    assert found.factor(MODULE) == 8.0
    assert found.rank_of("model.layers.1.self_attn.q_proj") == 8
    assert found.rank_of("model.layers.0.self_attn.k_proj") == 8


@pytest.mark.parametrize(
    "config", [{"r": "many"}, {"lora_alpha": None}, {"rank_pattern": [1]}, {"r": None}]
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, config: dict) -> None:
    with pytest.raises(InvalidInputError, match=r"adapter_config\.json"):
        scaling(tmp_path, **config)


def test_a_broken_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="pattern"):
        scaling(tmp_path, rank_pattern={"(": 4}).rank_of(MODULE)

"""The heart of it: one forward pass, rows with different adapters, each equal to PEFT alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from adaptery.base_models import BaseModelInfo, weight_digest, write_base_model
from adaptery_inference.build import BuiltEngine
from support.engine import TOLERANCE, Reference, TinyEngine
from tiny import FAMILIES, build_tiny_model

SHORT = list(b"ab")
MIDDLE = list(b"a middling prompt")
LONG = list(b"a prompt that is long enough to be a segment of its own, and more than that " * 2)


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_logits_of_each_family_equal_transformers(
    family: str, tied: bool, build: Callable[..., BuiltEngine], tmp_path: Path
) -> None:
    folder = build_tiny_model(tmp_path / "model", family=family, tied=tied)
    digest = weight_digest(folder)
    write_base_model(folder, BaseModelInfo(name="a/b", weight_digest=digest, source="built"))
    engine = TinyEngine(build(model=folder), {})
    wanted = Reference(folder, {})
    for found, prompt in zip(
        engine.logits([(SHORT, None), (LONG, None)]), (SHORT, LONG), strict=True
    ):
        close(found, wanted.logits(prompt))


@pytest.mark.parametrize("prompt", [SHORT, MIDDLE, LONG], ids=["short", "middle", "long"])
def test_three_adapters_and_the_base_in_one_forward_pass_equal_peft(
    prompt: list[int], tiny_engine: TinyEngine, reference: Reference
) -> None:
    names = ["plain", None, "part", "patterns"]
    found = tiny_engine.logits([(prompt, name) for name in names])
    assert tiny_engine.built.runner.forward_passes == 1
    wanted = [reference.logits(prompt, name) for name in names]
    for row, truth in zip(found, wanted, strict=True):
        close(row, truth)
    for one in range(4):
        for other in range(one):
            assert (wanted[one] - wanted[other]).abs().max() > 100 * TOLERANCE


def test_rows_of_all_lengths_in_one_forward_pass_equal_peft(
    tiny_engine: TinyEngine, reference: Reference
) -> None:
    rows = [
        (LONG, "plain"),
        (SHORT, "plain"),
        (MIDDLE, None),
        ([7], "part"),
        (LONG, None),
        ([9], None),
        (MIDDLE, "patterns"),
    ]
    found = tiny_engine.logits(rows)
    assert tiny_engine.built.runner.forward_passes == 1
    for logits, (prompt, name) in zip(found, rows, strict=True):
        close(logits, reference.logits(prompt, name))


def test_a_base_row_is_not_changed_by_the_adapters_beside_it(tiny_engine: TinyEngine) -> None:
    alone = tiny_engine.logits([(SHORT, None), (SHORT, None)])[0]
    beside = tiny_engine.logits([(SHORT, None), (SHORT, "plain")])[0]
    assert torch.equal(alone, beside)

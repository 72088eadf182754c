"""Whatever is trained, the plain LoRA that is handed in computes the same on the base model."""

import warnings

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from adaptery.adapter_folders import inspect_adapter
from adaptery.schemas.spec import LoraSpec, StartSpec
from adaptery_training.adapters import START_FOLDER, add_adapter, load_start
from adaptery_training.failures import DataIntegrityError, SpecRefusedError
from adaptery_training.plain_lora import PlainLora
from tiny import ALL_TARGETS, build_tiny_adapter

IDS = torch.arange(20, 60).reshape(2, 20)


def load(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def logits(model):
    model.eval()
    with torch.no_grad():
        return model(input_ids=IDS).logits


def train_a_little(model):
    """Move every weight of the adapter, as training would."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)


def load_plain(base, folder):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return PeftModel.from_pretrained(load(base), str(folder))


@pytest.mark.parametrize(
    ("fields", "rank"),
    [
        ({}, 4),
        ({"init": "gaussian", "rslora": True}, 4),
        ({"targets": "all"}, 4),
        ({"kind": "loha"}, 16),
        ({"kind": "lokr"}, 64),
        ({"kind": "lokr", "rank": 2}, 16),
        ({"init": "olora"}, 8),
        ({"init": "pissa", "rslora": True}, 8),
    ],
)
def test_the_plain_lora_computes_the_same(base, tmp_path, fields, rank):
    lora = LoraSpec.model_validate({"rank": 4, "alpha": 6, "targets": ALL_TARGETS, **fields})
    untouched = logits(load(base))
    model = add_adapter(load(base), lora, "tests/tiny")
    plain = PlainLora(model, lora)
    assert torch.allclose(logits(model), untouched, atol=1e-4), "a fresh adapter changes nothing"
    train_a_little(model)
    plain.save(tmp_path, plain.trained())
    info = inspect_adapter(tmp_path)
    assert (info.rank, info.base_model_name) == (rank, "tests/tiny")
    assert (logits(model) - untouched).abs().max() > 0.5
    assert torch.allclose(logits(load_plain(base, tmp_path)), logits(model), atol=1e-3)


def test_loftq_starts_nearer_to_the_base_than_its_quantized_weights(base, tmp_path):
    lora = LoraSpec(rank=8, init="loftq", targets=ALL_TARGETS)
    untouched = logits(load(base))
    model = add_adapter(load(base), lora, "tests/tiny")
    plain = PlainLora(model, lora)
    with model.disable_adapter():
        quantized = logits(model)
    assert (logits(model) - untouched).norm() < (quantized - untouched).norm() * 0.8
    train_a_little(model)
    plain.save(tmp_path, plain.trained())
    served, trained = logits(load_plain(base, tmp_path)), logits(model)
    assert (served - trained).norm() < (quantized - untouched).norm()


def test_a_rank_that_no_engine_takes_is_refused_before_training(base):
    lora = LoraSpec(kind="loha", rank=17)
    with pytest.raises(SpecRefusedError, match=r"lora\.rank.*289"):
        PlainLora(add_adapter(load(base), lora, "tests/tiny"), lora)


@pytest.fixture
def start(base, tmp_path):
    folder = build_tiny_adapter(
        tmp_path / START_FOLDER,
        base,
        4,
        seed=1,
        rank_pattern={"q_proj": 2},
        targets=["q_proj", "up_proj"],
    )
    (folder / "README.md").unlink(missing_ok=True)
    return StartSpec(weight_digest=inspect_adapter(folder).weight_digest, name="tests/start@1")


def test_training_goes_on_from_an_adapter_at_another_rank_and_scale(base, tmp_path, start):
    model = add_adapter(load(base), LoraSpec(rank=6, alpha=30, rslora=True), "tests/tiny")
    load_start(model, tmp_path, start)
    assert torch.allclose(
        logits(model), logits(load_plain(base, tmp_path / START_FOLDER)), atol=1e-4
    )
    assert list(model.peft_config) == ["default"]
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {
        n for n, _ in model.named_parameters() if "lora_" in n
    }


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"rank": 3}, "lora.rank"), ({"rank": 4, "targets": ["q_proj"]}, "lora.targets")],
)
def test_an_adapter_that_does_not_fit_is_refused_by_the_field(base, tmp_path, start, fields, named):
    model = add_adapter(load(base), LoraSpec.model_validate(fields), "tests/tiny")
    with pytest.raises(SpecRefusedError, match=named):
        load_start(model, tmp_path, start)


def test_another_adapter_than_the_named_one_is_refused(base, tmp_path, start):
    model = add_adapter(load(base), LoraSpec(), "tests/tiny")
    build_tiny_adapter(tmp_path / START_FOLDER, base, 4, seed=2)
    with pytest.raises(DataIntegrityError, match="not the one"):
        load_start(model, tmp_path, start)

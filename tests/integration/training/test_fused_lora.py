"""The layer that computes LoRA in one step gives Peft's numbers and gradients."""

import pytest
import torch
from peft.tuners import lora
from transformers import AutoModelForCausalLM

from adaptery.schemas.spec import LoraSpec
from adaptery_training.adapters import add_adapter
from adaptery_training.fused_lora import FusedLinear

SPEC = {"rank": 4, "alpha": 8}


def adapted(base, dtype=torch.float32, **spec):
    """Return a model whose adapter has something to say, and its LoRA layers."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    for name, module in model.named_modules():
        if name.endswith("k_proj"):  # some models have biases
            module.bias = torch.nn.Parameter(torch.randn(module.out_features, dtype=dtype))
    model = add_adapter(model, LoraSpec.model_validate(SPEC | spec), "base")
    layers = [module for module in model.modules() if isinstance(module, lora.Linear)]
    with torch.no_grad():
        for layer in layers:
            layer.lora_B["default"].weight.normal_(std=0.1)
    return model, layers


def results(model, layers, kind):
    """Return the logits and the gradients of the adapter, computed by layers of that class."""
    for layer in layers:
        layer.__class__ = kind
    model.zero_grad()
    logits = model(input_ids=torch.arange(24).reshape(2, 12)).logits.float()
    logits.logsumexp(-1).sum().backward()
    return logits.detach(), [p.grad.clone() for p in model.parameters() if p.requires_grad]


def test_numbers_and_gradients_are_those_of_peft(base):
    model, layers = adapted(base)
    assert {type(layer) for layer in layers} == {FusedLinear}
    fused, gradients = results(model, layers, FusedLinear)
    logits, expected = results(model, layers, lora.Linear)
    torch.testing.assert_close(fused, logits)
    torch.testing.assert_close(gradients, expected)


def test_in_bf16_the_gradients_stay_fp32_and_near(base):
    model, layers = adapted(base, torch.bfloat16)
    fused, gradients = results(model, layers, FusedLinear)
    logits, expected = results(model, layers, lora.Linear)
    assert {gradient.dtype for gradient in gradients} == {torch.float32}
    torch.testing.assert_close(fused, logits, atol=0.1, rtol=0.1)
    for gradient, other in zip(gradients, expected, strict=True):
        assert (gradient - other).norm() < 0.05 * other.norm() + 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_trainer_that_mixes_formats_changes_nothing(base, dtype):
    model, layers = adapted(base, dtype)
    plain, gradients = results(model, layers, FusedLinear)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, others = results(model, layers, FusedLinear)
    torch.testing.assert_close(mixed, plain, atol=0.1, rtol=0.1)
    for gradient, other in zip(gradients, others, strict=True):
        assert gradient.dtype == other.dtype == torch.float32
        assert (gradient - other).norm() < 0.1 * gradient.norm() + 1e-3


def test_without_the_adapter_the_base_answers(base):
    model, layers = adapted(base)
    ids = torch.arange(12).reshape(1, 12)
    with torch.no_grad():
        answered = model(input_ids=ids).logits
        with model.disable_adapter():
            plain = model(input_ids=ids).logits
        for layer in layers:
            layer.lora_B["default"].weight.zero_()
        silent = model(input_ids=ids).logits
    torch.testing.assert_close(plain, silent)
    assert not torch.allclose(plain, answered)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_stays_with_peft(base, dropout):
    model, _ = adapted(base, dropout=dropout)
    model.train()
    ids = torch.arange(12).reshape(1, 12)
    first, second = (model(input_ids=ids).logits for _ in range(2))
    assert torch.equal(first, second) == (dropout == 0.0)

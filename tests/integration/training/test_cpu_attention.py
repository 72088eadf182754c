"""Attention on processors with its way back in fp32: torch's numbers, and gradients near them."""

import pytest
import torch

from adaptery_training import cpu_attention
from adaptery_training.base import load_base_model
from support.training_runs import job_spec

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")

IDS = torch.arange(48).reshape(2, 24)
RIGHT = torch.ones(2, 24, dtype=torch.long)
RIGHT[1, 15:] = 0
LEFT = RIGHT.flip(1)
PACKED = torch.cat([torch.arange(10), torch.arange(14)]).repeat(2, 1)


def loaded(base, precision, **optim):
    spec = job_spec({"precision": precision, **optim})
    return load_base_model(base, spec.base_model, precision, optim=spec.optim).model


def results(model, attention, **batch):
    """Return the logits, and the gradients of every weight."""
    model.set_attn_implementation(attention)
    model.zero_grad()
    logits = model(input_ids=IDS, use_cache=False, **batch).logits
    counts = batch.get("attention_mask", RIGHT.new_ones(RIGHT.shape)).bool()
    logits[counts].float().logsumexp(-1).sum().backward()
    return logits[counts].detach(), [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    "batch",
    [{}, {"attention_mask": RIGHT}, {"attention_mask": LEFT}, {"position_ids": PACKED}],
    ids=["causal", "padded", "padded-left", "packed"],
)
def test_numbers_are_torchs_and_gradients_near(base, batch):
    model = loaded(base, "bf16")
    logits, gradients = results(model, cpu_attention.NAME, **batch)
    expected, others = results(model, "sdpa", **batch)
    torch.testing.assert_close(logits, expected)
    for gradient, other in zip(gradients, others, strict=True):
        assert torch.isfinite(gradient).all()
        assert (gradient - other).norm() <= 0.03 * other.norm() + 1e-3


@pytest.mark.parametrize(
    ("precision", "asked", "taken"),
    [
        ("bf16", "auto", cpu_attention.NAME),
        ("bf16", "sdpa", "sdpa"),
        ("bf16", "eager", "eager"),
        ("fp32", "auto", "sdpa"),
    ],
)
def test_it_is_taken_where_it_gains(base, precision, asked, taken):
    model = loaded(base, precision, attention=asked)
    assert model.config._attn_implementation == taken


def test_answers_are_those_of_torchs_attention(base):
    model = loaded(base, "bf16")
    options = {"max_new_tokens": 5, "do_sample": False, "attention_mask": LEFT}
    answers = model.generate(IDS, **options)
    model.set_attn_implementation("sdpa")
    assert torch.equal(answers, model.generate(IDS, **options))

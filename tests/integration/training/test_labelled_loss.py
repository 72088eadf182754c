"""The loss where it counts is the loss of the whole, in value and in gradient."""

from array import array

import pytest
import torch
from transformers import AutoModelForCausalLM

from adaptery.examples import Example, Target
from adaptery_training.labelled_loss import IGNORED, Collator, PackedRow, labelled_loss
from tiny import FAMILIES, build_tiny_model

EXAMPLES = [
    Example(array("i", range(10, 30)), (Target(12, 20),)),
    Example(array("i", range(40, 53)), (Target(3, 6), Target(9, 13))),
]


@pytest.fixture(params=FAMILIES)
def model(request, tmp_path):
    folder = build_tiny_model(tmp_path, family=request.param, tied=request.param != "qwen2")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_equals_the_loss_of_transformers_in_value_and_gradient(model):
    batch = Collator(pad_token_id=0)(EXAMPLES)
    plain = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        labels=batch["labels"],
    ).loss
    plain.backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    loss = labelled_loss(model, model.get_output_embeddings(), batch, batch["weights"].sum())
    loss.backward()
    torch.testing.assert_close(loss, plain)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-5)


def test_leaves_no_trace_on_the_head(model):
    batch = Collator(pad_token_id=0)(EXAMPLES)
    with torch.no_grad():
        before = model(input_ids=batch["input_ids"]).logits
        labelled_loss(model, model.get_output_embeddings(), batch, 1.0)
        torch.testing.assert_close(model(input_ids=batch["input_ids"]).logits, before)


def test_a_weight_counts_as_that_part(model):
    half = [Example(EXAMPLES[0].token_ids, (Target(12, 20, 0.5),)), EXAMPLES[1]]
    rows = []
    for examples in (half, half[:1], half[1:]):
        batch = Collator(pad_token_id=0)(examples)
        rows.append((labelled_loss(model, model.get_output_embeddings(), batch, 1.0), batch))
    (both, _), (first, _), (second, _) = rows
    torch.testing.assert_close(both, first + second)
    full = Collator(pad_token_id=0)(EXAMPLES[:1])
    whole = labelled_loss(model, model.get_output_embeddings(), full, 1.0)
    torch.testing.assert_close(first, whole / 2)


def test_padding_is_labelled_as_ignored():
    batch = Collator(pad_token_id=7)(EXAMPLES)
    assert batch["input_ids"].shape == (2, 20)
    assert set(batch["labels"][1, 13:].tolist()) == {IGNORED}
    assert batch["attention_mask"].sum().item() == 33


@pytest.mark.parametrize("padded", [False, True])
def test_examples_of_a_packed_row_do_not_see_each_other(model, padded):
    head = model.get_output_embeddings()
    rows = [PackedRow((*EXAMPLES, EXAMPLES[0]))]
    if padded:
        rows.append(PackedRow((EXAMPLES[1],)))
    packed = Collator(pad_token_id=0)(rows)
    assert bool(packed["attention_mask"].all()) != padded
    labelled_loss(model, head, packed, 1.0).backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    alone = [labelled_loss(model, head, Collator(0)([e]), 1.0) for r in rows for e in r.examples]
    sum(alone).backward()
    torch.testing.assert_close(labelled_loss(model, head, packed, 1.0), sum(alone))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-4)

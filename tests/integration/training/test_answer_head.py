"""The head that sees only answers says what trl's own does."""

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from adaptery_training.answer_head import see_only_answers

OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")


def test_the_numbers_and_the_gradients_are_those_of_the_whole(base):
    torch.manual_seed(0)
    ids = torch.randint(3, 250, (3, 20))
    mask = torch.ones_like(ids)
    mask[1, 15:] = 0
    labels = torch.full_like(ids, -100)
    labels[0, 10:], labels[1, 5:15], labels[2, 19:] = ids[0, 10:], ids[1, 5:15], ids[2, 19:]
    found = []
    for only_answers in (False, True):
        model = AutoModelForCausalLM.from_pretrained(base)
        add_fused_lm_head(model, outputs=OUTPUTS)
        if only_answers:
            see_only_answers(model)
        output = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
        (output.log_probs.sum() + output.loss).backward()
        gradient = model.model.layers[0].mlp.up_proj.weight.grad
        found.append([*(getattr(output, name) for name in OUTPUTS), output.loss, gradient])
    for whole, answers in zip(*found, strict=True):
        assert whole.shape == answers.shape
        assert torch.allclose(whole.float(), answers.float(), atol=1e-5)


@pytest.mark.parametrize("labels", [None, "all"])
def test_what_asks_for_logits_gets_them(base, labels):
    ids = torch.randint(3, 250, (2, 5))
    model = AutoModelForCausalLM.from_pretrained(base)
    expected = model(input_ids=ids).logits
    add_fused_lm_head(model)
    see_only_answers(model)
    output = model(input_ids=ids, **({} if labels is None else {"labels": ids}))
    assert torch.equal(output.logits, expected)

"""Base model and adapter on held out answers, after the last step; all on the tiny model."""

import io
import json
import math
import time

import pytest
import torch

from adaptery.schemas.spec import EvalSpec
from adaptery_training.attempt import StoppedEarly, _evaluate, _Watch
from adaptery_training.evaluation import Evaluator
from adaptery_training.events import EventLog
from adaptery_training.stopping import StopRequest
from support.training_runs import job_spec, train
from tiny import tiny_records

LEARNT = {"max_steps": 40, "learning_rate": 0.02}
#: What the adapter learns is what it is asked: so it must do better than the base model.
ASKED = tiny_records()[:6]
TEXTS = [{"kind": "text", "text": record["messages"][0]["content"]} for record in ASKED]


@pytest.fixture(scope="module")
def learnt(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learnt")
    return train(base, folder, job_spec(LEARNT), records=ASKED, held_out=ASKED)


def evaluator(run, **settings):
    spec = run.spec.model_copy(update={"eval": EvalSpec(**settings)})
    object.__setattr__(run.trainer._run, "spec", spec)
    trainer = run.trainer
    return Evaluator(
        trainer.adapted, run.held_out, trainer._run, trainer.compute_loss_context_manager
    )


def test_an_adapter_that_has_learnt_the_answers_beats_its_base(learnt):
    found = evaluator(learnt).evaluate()
    assert found.examples == 6
    assert found.adapter.loss < found.base.loss / 3
    assert found.adapter.loss == pytest.approx(learnt.trainer.held_out_loss(), rel=1e-5)
    assert found.adapter.rouge_l > 0.9 > 0.5 > found.base.rouge_l
    assert found.adapter.exact_match > 0.8 and found.base.exact_match == 0
    assert found == evaluator(learnt).evaluate()


def test_no_more_examples_and_tokens_are_used_than_asked_for(learnt):
    few = evaluator(learnt, examples=2).evaluate()
    assert few.examples == 2 and few.adapter.exact_match == 1
    cut = evaluator(learnt, examples=2, max_new_tokens=1).evaluate()
    assert cut.adapter.exact_match == 0 and cut.adapter.loss == few.adapter.loss


@pytest.mark.slow
@pytest.mark.parametrize("lora", [{"init": "pissa"}, {"kind": "lokr"}, {"dora": True}])
def test_the_base_is_the_base_whatever_is_trained(base, tmp_path, learnt, lora):
    spec = job_spec({"max_steps": 2}, lora=lora)
    run = train(base, tmp_path, spec, records=ASKED, held_out=ASKED)
    before = run.weights
    found, plain = evaluator(run).evaluate(), evaluator(learnt).evaluate()
    assert found.base.loss == pytest.approx(plain.base.loss, rel=1e-4)
    assert found.adapter.loss < found.base.loss
    after = run.weights
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_of_texts_only_the_loss_is_measured(base, tmp_path):
    run = train(base, tmp_path, job_spec(LEARNT), records=TEXTS, held_out=TEXTS)
    found = evaluator(run).evaluate()
    assert found.adapter.loss < found.base.loss
    assert found.adapter.rouge_l is None and found.adapter.exact_match is None


# ---- in an attempt ----


def watched(run, folder, *, seconds=600.0, stopped=False):
    stop = StopRequest()
    if stopped:
        stop.request()
    events = EventLog(folder / "events.jsonl", echo=io.BytesIO())
    watch = _Watch(events, stop, run.spec, folder, time.monotonic() + seconds)
    object.__setattr__(run.trainer._run, "observer", watch)
    return watch


def logged(folder):
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [event["message"] for event in map(json.loads, lines) if event["kind"] == "log"]


def test_a_request_to_stop_ends_the_evaluation_and_the_attempt(learnt, tmp_path):
    watch = watched(learnt, tmp_path, stopped=True)
    with pytest.raises(StoppedEarly):
        _evaluate(learnt.trainer, learnt.held_out, learnt.trainer._run, watch)


def test_when_time_is_up_the_adapter_is_handed_in_without(learnt, tmp_path):
    watch = watched(learnt, tmp_path, seconds=-1)
    assert _evaluate(learnt.trainer, learnt.held_out, learnt.trainer._run, watch) is None
    assert logged(tmp_path) == ["time was up before the adapter was evaluated"]


def test_an_evaluation_that_fails_costs_no_adapter(base, tmp_path):
    run = train(base, tmp_path, job_spec({"max_steps": 1}), held_out=ASKED)
    with torch.no_grad():
        next(p for p in run.trainer.adapted.parameters() if p.requires_grad).fill_(math.nan)
    watch = watched(run, tmp_path)
    assert _evaluate(run.trainer, run.held_out, run.trainer._run, watch) is None
    assert "the loss on what is held out is no number" in logged(tmp_path)[0].lower()


def test_what_was_measured_is_told_and_written_into_the_card(bench):
    attempt = bench.attempt(max_steps=4)
    attempt.spec |= {"spec_version": 2, "eval": {"val_size": 5, "examples": 3}}
    assert attempt.run() == 0, attempt.log
    assert [e["state"] for e in attempt.of_kind("state")][-2:] == ["evaluating", "saving"]
    told = attempt.events[-1]["evaluation"]
    assert told["examples"] == 3 and told["adapter"]["loss"] < told["base"]["loss"]
    card = json.loads((attempt.path / "adapter/card.json").read_text())
    assert card["evaluation"] == told
    readme = (attempt.path / "adapter/README.md").read_text()
    base, adapter = told["base"], told["adapter"]
    assert "On 3 examples that were held out" in readme
    assert f"| loss on the answers | {base['loss']:.4f} | {adapter['loss']:.4f} |" in readme
    assert "| ROUGE-L (F1) |" in readme and "| exact match |" in readme


def test_what_is_named_to_be_held_out_is_measured_at_each_checkpoint(bench):
    attempt = bench.attempt(tiny_records()[6:], max_steps=4, save_steps=2)
    attempt.add_version(ASKED)
    attempt.spec["inputs"][1]["held_out"] = True
    attempt.spec |= {"spec_version": 2, "eval": {"examples": 3}}
    assert attempt.run() == 0, attempt.log
    measured = [e["step"] for e in attempt.of_kind("metrics") if "eval_loss" in e]
    assert measured == [2, 4]
    assert attempt.events[-1]["evaluation"]["examples"] == 3
    assert any(f"{len(tiny_records()) - 6} records" in e["message"] for e in attempt.of_kind("log"))
    learnt, kept = (attempt.path / "adapter/README.md").read_text().split("## Held out")
    versions = [entry["version"] for entry in attempt.spec["inputs"]]
    assert versions[0] in learnt and versions[1] not in learnt and versions[1] in kept


@pytest.mark.slow
def test_preferences_are_evaluated_on_the_chosen_answers(bench):
    question = {"role": "user", "content": "What is red?"}
    record = {
        "kind": "preference",
        "messages": [question],
        "chosen": {"role": "assistant", "content": "A rose."},
        "rejected": {"role": "assistant", "content": "The sky."},
    }
    records = [
        {**record, "messages": [{"role": "user", "content": f"What is red, {n}?"}]}
        for n in range(8)
    ]
    attempt = bench.attempt(records, stage="dpo", max_steps=6)
    attempt.spec |= {"spec_version": 2, "eval": {"val_size": 3}}
    assert attempt.run() == 0, attempt.log
    told = attempt.events[-1]["evaluation"]
    assert told["examples"] == 3 and "rouge_l" in told["base"]


def test_where_nothing_is_held_out_the_log_says_so(bench):
    attempt = bench.attempt(max_steps=1)
    assert attempt.run() == 0, attempt.log
    assert "evaluation" not in attempt.events[-1]
    assert any("nothing was held out" in e["message"] for e in attempt.of_kind("log"))
    assert "It was not evaluated." in (attempt.path / "adapter/README.md").read_text()

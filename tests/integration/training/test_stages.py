"""What each stage learns and hands in, on a tiny model; see `test_stage_proofs` for the rest."""

import json
import shutil
import warnings

import pytest

from adaptery.adapter_folders import inspect_adapter
from support.judgements import SECRET, chats, judged, preferences
from tiny import tiny_records

STEPS = 4


@pytest.fixture(scope="module")
def judge(bench):
    """The attempt of stage rm."""
    attempt = bench.attempt(preferences(), stage="rm", max_steps=STEPS)
    assert attempt.run() == 0, attempt.log
    return attempt


@pytest.fixture(scope="module")
def preferred(bench):
    attempt = bench.attempt(preferences(), stage="dpo", max_steps=STEPS)
    assert attempt.run() == 0, attempt.log
    return attempt


def told_by(attempt, name: str) -> list[float]:
    return [event[name] for event in attempt.of_kind("metrics") if name in event]


def loaded(attempt, kind: str = "AutoModelForCausalLM", **options):
    """The adapter on its base model, as plain PEFT loads it."""
    import transformers
    from peft import PeftModel

    base = getattr(transformers, kind).from_pretrained(attempt.base, **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return PeftModel.from_pretrained(base, str(attempt.path / "adapter"))


def test_a_reward_model_learns_to_rank_and_is_told_from_a_chat_model(judge):
    assert told_by(judge, "reward_accuracy")[-1] == 1
    assert told_by(judge, "reward_margin")[-1] > told_by(judge, "reward_margin")[0]
    info = inspect_adapter(judge.path / "adapter")
    assert (info.kind, info.base_model_name) == ("reward", "tests/tiny")
    card = json.loads((judge.path / "adapter/card.json").read_text())
    assert card["stage"] == "rm"
    assert "writes none" in (judge.path / "adapter/README.md").read_text()


def test_plain_peft_loads_a_reward_model_and_it_scores_as_it_was_trained_to(judge):
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(judge.base)
    model = loaded(judge, "AutoModelForSequenceClassification", num_labels=1)

    def score(record, answer: str) -> float:
        messages = [*record["messages"], record[answer]]
        text = tokenizer.apply_chat_template(messages, tokenize=False).rstrip()
        with torch.no_grad():
            return float(model(**tokenizer(text, return_tensors="pt")).logits)

    assert all(score(r, "chosen") > score(r, "rejected") for r in preferences())


def test_the_engine_refuses_a_reward_model_with_the_reason(judge):
    import torch

    from adaptery.errors import InvalidInputError
    from adaptery_inference.adapter_weights import AdapterLimits, AdapterReader

    reader = AdapterReader(None, torch.float32, torch.device("cpu"), AdapterLimits(), None)
    with pytest.raises(InvalidInputError, match="scores answers"):
        reader.open(judge.path / "adapter")


def test_chosen_answers_become_likelier_than_rejected_ones(preferred):
    assert preferred.losses[1] == pytest.approx(0.6931, abs=1e-3)  # nothing told apart yet
    assert told_by(preferred, "reward_margin")[0] == 0
    assert told_by(preferred, "reward_margin")[-1] > 0.1
    assert told_by(preferred, "reward_accuracy")[-1] == 1


def test_good_answers_become_likelier_and_bad_ones_less(bench):
    attempt = bench.attempt(
        [*judged(), *preferences()[:4]], stage="kto", max_steps=8, lora={"dropout": 0.1}
    )
    assert attempt.run() == 0, attempt.log
    assert told_by(attempt, "reward_margin")[-1] > told_by(attempt, "reward_margin")[0]
    assert all(distance >= 0 for distance in told_by(attempt, "kl"))
    assert inspect_adapter(attempt.path / "adapter").kind == "chat"


def test_texts_and_whole_chats_are_learnt_in_pre_training(bench):
    records = [*tiny_records()[:4], {"kind": "text", "text": "Once upon a time there was rain."}]
    attempt = bench.attempt(records, stage="pt", max_steps=STEPS)
    assert attempt.run() == 0, attempt.log
    assert attempt.losses[STEPS] < attempt.losses[1]
    counts = next(e["message"] for e in attempt.of_kind("log") if "examples" in e["message"])
    tokens, targets = (int(counts.split(word)[0].split()[-1]) for word in (" tokens", " of them"))
    assert targets == tokens - len(records)  # all but the first of each


@pytest.fixture(scope="module")
def own_answers(bench, judge):
    attempt = with_judge(bench.attempt(chats(), **OWN), judge)
    assert attempt.run() == 0, attempt.log
    return attempt


OWN = {"stage": "grpo", "batch_size": 4, "gradient_accumulation": 2, "max_steps": 2}


def with_judge(attempt, judge, **options):
    """Put the reward adapter where an agent would."""
    shutil.copytree(judge.path / "adapter", attempt.path / "reward")
    digest = inspect_adapter(attempt.path / "reward").weight_digest
    attempt.spec["reward"] = {
        "weight_digest": digest, "generations": 4, "max_new_tokens": 8, **options
    }  # fmt: skip
    return attempt


def test_the_model_learns_from_its_own_answers(own_answers):
    assert len(told_by(own_answers, "reward")) == 2
    assert told_by(own_answers, "kl")[0] == 0
    assert all(speed > 0 for speed in told_by(own_answers, "tokens_per_second"))
    info = inspect_adapter(own_answers.path / "adapter")
    assert (info.kind, info.rank) == ("chat", 4)
    card = json.loads((own_answers.path / "adapter/card.json").read_text())
    assert card["spec"]["reward"]["weight_digest"] == own_answers.spec["reward"]["weight_digest"]


@pytest.mark.parametrize("harm", ["other digest", "chat"])
def test_a_judge_that_is_not_the_right_one_is_refused(bench, judge, preferred, harm):
    attempt = with_judge(bench.attempt(chats(), **OWN), judge)
    if harm == "other digest":
        attempt.spec["reward"]["weight_digest"] = "sha256:" + "0" * 64
        code, word = "data_integrity", "not the one"
    else:
        shutil.rmtree(attempt.path / "reward")
        with_judge(attempt, preferred)
        code, word = "spec_refused", "scores none"
    assert attempt.run() == 1
    assert attempt.events[-1]["code"] == code, (attempt.events, attempt.log)
    assert word in attempt.events[-1]["reason"]


def test_records_that_do_not_suit_the_stage_are_refused_by_number(bench):
    attempt = bench.attempt([*preferences(), *chats()], stage="dpo")
    assert attempt.run() == 1
    last = attempt.events[-1]
    assert last["code"] == "bad_data" and "Record 9 is of kind chat" in last["reason"]
    assert last["remedy"]


def test_nothing_of_a_record_or_of_this_machine_is_told_or_handed_in(judge, preferred, own_answers):
    for attempt in (judge, preferred, own_answers):
        files = (attempt.path / "adapter").glob("*.[jm][sd]*")
        told = json.dumps(attempt.events) + attempt.log + "".join(p.read_text() for p in files)
        assert (
            SECRET not in told and str(attempt.path) not in told and str(attempt.base) not in told
        )
        checkpoints = sorted(path.name for path in (attempt.path / "checkpoints").iterdir())
        assert checkpoints == [f"step-{attempt.spec['optim']['max_steps']}"]  # trl writes none

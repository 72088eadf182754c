"""What a job learns from and what it holds out."""

from pathlib import Path

import pytest

from adaptery.errors import RecordError
from adaptery.examples import ChatTokenizer, held_out_inputs, prepare
from adaptery.ids import IdMint, new_id
from adaptery.records import Message, Record
from adaptery.schemas.spec import InputSpec, JobSpec
from support.tokenizer_folders import write_tokenizer

DIGEST = "sha256:" + "0" * 64
RECORDS = [
    Record.chat([Message("user", str(n)), Message("assistant", str(n))]) for n in range(100, 120)
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> ChatTokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    return ChatTokenizer(write_tokenizer(folder))


def entry(split: str, **more: object) -> InputSpec:
    return InputSpec.model_validate(
        {"version": new_id("dv"), "content_digest": DIGEST, "split": split, **more}
    )


def spec(**more) -> JobSpec:
    return JobSpec.model_validate(
        {
            "job": new_id("jb"),
            "attempt": new_id("at"),
            "fencing_token": 1,
            "stage": "sft",
            "base_model": {"name": "tiny", "weight_digest": DIGEST},
            "inputs": [entry("all").model_dump()],
            "limits": {"wall_seconds": 60, "memory_bytes": 2**30, "disk_bytes": 2**30},
            **more,
        }
    )


def texts(made, tokenizer) -> list[str]:
    return [tokenizer.decode(example.token_ids[6:9]) for example in made.examples]


def test_a_share_or_a_number_is_held_out_and_nothing_is_in_both(tokenizer):
    for val_size, count in ((0.25, 5), (0.001, 1), (3, 3)):
        made = prepare(RECORDS, (), tokenizer, spec(eval={"val_size": val_size}))
        learnt, held_out = texts(made.learnt, tokenizer), texts(made.held_out, tokenizer)
        assert len(held_out) == count
        assert sorted(learnt + held_out) == [str(n) for n in range(100, 120)]
    assert prepare(RECORDS, (), tokenizer, spec()).held_out is None


def test_so_many_examples_are_taken_of_the_shuffled_whole(tokenizer):
    chosen = [
        texts(prepare(RECORDS, (), tokenizer, job).learnt, tokenizer)
        for job in (spec(optim={"max_samples": 5, "seed": seed}) for seed in (1, 1, 2))
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 5 and chosen[0] == sorted(chosen[0])


def test_a_validation_split_is_held_out_whole(tokenizer):
    job = spec(eval={"val_size": 0.5})
    made = prepare(RECORDS[:10], RECORDS[10:12], tokenizer, job)
    assert (len(made.learnt.examples), len(made.held_out.examples)) == (10, 2)
    assert held_out_inputs([entry("train"), entry("validation")]) == {1}
    assert held_out_inputs([entry("validation")]) == frozenset()


def test_what_is_named_to_be_held_out_is_never_learnt_from():
    named = entry("all", held_out=True)
    assert held_out_inputs([entry("all"), named]) == {1}
    assert held_out_inputs([entry("train"), named, entry("validation")]) == {1, 2}
    assert held_out_inputs([named]) == {0}
    assert held_out_inputs([entry("validation"), named]) == {1}


def test_nobody_learns_from_nothing(tokenizer):
    with pytest.raises(RecordError, match="none is left to learn from"):
        prepare(RECORDS[:2], (), tokenizer, spec(eval={"val_size": 2}))


@pytest.mark.parametrize(
    ("stage", "counts"), [("pt", 20), ("sft", 20), ("grpo", 20), ("dpo", 1), ("rm", 1), ("kto", 2)]
)
def test_each_stage_has_its_examples(stage, counts, tokenizer):
    answers = [Message("assistant", word) for word in ("a", "b")]
    pair = Record("preference", (Message("user", "?"),), chosen=answers[0], rejected=answers[1])
    records = RECORDS if counts == 20 else [pair]
    made = prepare(records, (), tokenizer, spec(stage=stage)).learnt
    assert len(made.examples) == counts
    if stage == "pt":
        assert made.examples[0].target_tokens == len(made.examples[0]) - 1


def test_an_example_knows_the_record_that_it_comes_of(tokenizer):
    long = Record.chat([Message("user", "1"), Message("assistant", "1" * 99)])
    lost = Record.chat([Message("user", "1" * 99), Message("assistant", "1")])
    made = prepare([lost, RECORDS[0], long], (), tokenizer, spec(optim={"cutoff_len": 40})).learnt
    assert made.origins == [(2, False), (3, True)]
    drawn = prepare(RECORDS, (), tokenizer, spec(optim={"max_samples": 3})).learnt
    assert [99 + origin.record for origin in drawn.origins] == [
        int(text) for text in texts(drawn, tokenizer)
    ]


def test_a_template_that_writes_the_date_writes_that_of_the_job(tmp_path):
    template = "{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{{ m.content }}{% endfor %}"
    tokenizer = ChatTokenizer(write_tokenizer(tmp_path, template))
    job = spec(job=IdMint(lambda: 86_400_000 * 365).new("jb"))
    (example, *_) = prepare(RECORDS, (), tokenizer, job).learnt.examples
    assert tokenizer.decode(example.token_ids).startswith("1971-01-01")
    said = tokenizer.render([{"role": "user", "content": ""}], opening=False)
    assert not said.startswith("1971")

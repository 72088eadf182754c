"""What counts of preferences, judged answers and prompts."""

import pytest

from adaptery.errors import RecordError
from adaptery.examples import ChatTokenizer, Example, build_judged, build_pairs, build_prompts
from adaptery.records import Message, Record
from support.tokenizer_folders import END, write_tokenizer

USER = Message("user", "Is it?")
EARLIER = (USER, Message("assistant", "Earlier."), USER)
YES, NO = Message("assistant", "Yes."), Message("assistant", "No!")
PREFERENCE = Record("preference", EARLIER, chosen=YES, rejected=NO)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return ChatTokenizer(write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def counted(example: Example, tokenizer: ChatTokenizer) -> list[str]:
    assert example.targets[-1].end == len(example)  # nothing stands behind the answer
    return [
        tokenizer.decode(example.token_ids[target.start : target.end], special=True)
        for target in example.targets
    ]


def test_of_a_preference_only_its_two_answers_count_in_the_same_conversation(tokenizer):
    pair = build_pairs([PREFERENCE], tokenizer, stage="dpo", cutoff_len=1_000).examples[0]
    assert counted(pair.chosen, tokenizer) == [f"Yes.{END}"]
    assert counted(pair.rejected, tokenizer) == [f"No!{END}"]
    asked = pair.chosen.targets[0].start
    assert pair.chosen.token_ids[:asked] == pair.rejected.token_ids[:asked]
    assert len(pair) == len(pair.chosen) + len(pair.rejected)
    assert pair.target_tokens == len("Yes.") + len("No!") + 2


@pytest.mark.parametrize("whole", [False, True])
def test_a_pair_that_is_too_long_is_cut_or_where_its_end_matters_dropped(tokenizer, whole):
    asked = Record("preference", (USER,), chosen=YES, rejected=Message("assistant", "No!" * 50))
    limit = len(build_pairs([PREFERENCE], tokenizer, stage="rm", cutoff_len=999).examples[0].chosen)
    made = build_pairs([PREFERENCE, asked], tokenizer, stage="rm", cutoff_len=limit, whole=whole)
    assert (len(made.examples), made.cut, made.dropped_cut) == ((1, 0, 1) if whole else (2, 1, 0))
    assert all(len(pair.rejected) <= limit for pair in made.examples)


def test_a_judged_answer_keeps_its_judgement_and_a_preference_is_two_of_them(tokenizer):
    judged = Record("kto", (*EARLIER, NO), label=False)
    made = build_judged([judged, PREFERENCE], tokenizer, cutoff_len=1_000).examples
    found = [(one.good, *counted(one.answered, tokenizer)) for one in made]
    assert found == [(False, f"No!{END}"), (True, f"Yes.{END}"), (False, f"No!{END}")]


def test_a_prompt_is_all_before_the_last_answer_and_the_opening_of_one(tokenizer):
    pair = build_pairs([PREFERENCE], tokenizer, stage="dpo", cutoff_len=1_000).examples[0]
    chat = Record("chat", (*EARLIER, NO))
    prompt = build_prompts([chat], tokenizer, cutoff_len=1_000).examples[0]
    assert prompt.token_ids == pair.chosen.token_ids[: pair.chosen.targets[0].start]


def test_a_prompt_that_is_too_long_is_dropped_never_cut(tokenizer):
    chats = [Record("chat", (Message("user", "Is it? " * n), NO)) for n in (1, 40)]
    made = build_prompts(chats, tokenizer, cutoff_len=60)
    assert (len(made.examples), made.dropped_cut) == (1, 1)
    with pytest.raises(RecordError, match="No record is left"):
        build_prompts(chats, tokenizer, cutoff_len=8)


def test_records_of_other_kinds_are_refused_by_number_and_never_quoted(tokenizer):
    secret = Record.of_text("secret")
    chat = Record("chat", (USER, NO))
    for build, good, bad, stage in (
        (lambda r: build_pairs(r, tokenizer, stage="rm", cutoff_len=99), PREFERENCE, chat, "rm"),
        (lambda r: build_judged(r, tokenizer, cutoff_len=99), PREFERENCE, chat, "kto"),
        (lambda r: build_prompts(r, tokenizer, cutoff_len=99), chat, secret, "grpo"),
    ):
        with pytest.raises(RecordError, match=f"Record 2 is of kind .*; {stage} learns") as caught:
            build([good, bad])
        assert caught.value.hint
        assert "secret" not in str(caught.value) and "No!" not in str(caught.value)

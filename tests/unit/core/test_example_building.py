"""Which tokens count. The tokenizer is a real one: one token per byte."""

from pathlib import Path

import pytest

from adaptery.errors import RecordError
from adaptery.examples import ChatTokenizer, Target, build_examples, build_texts
from adaptery.records import Message, Record
from support.tokenizer_folders import END, write_tokenizer

#: Leaves out all answers but the last, as templates of reasoning models do with thoughts.
FORGETFUL = (
    "{% for m in messages %}{% if m.role != 'assistant' or loop.last %}"
    "<{{ m.role }}>{{ m.content }}<|end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
#: Quotes its input when it refuses, as templates may.
CHATTY = "{{ raise_exception('unsupported: ' + messages[0].content) }}"
USER = Message("user", "Hi?")


@pytest.fixture
def tokenizer(tmp_path: Path) -> ChatTokenizer:
    return ChatTokenizer(write_tokenizer(tmp_path))


def chat(*turns: Message) -> Record:
    return Record("chat", messages=turns)


def counted(example, tokenizer: ChatTokenizer) -> list[str]:
    return [
        tokenizer.decode(example.token_ids[target.start : target.end], special=True)
        for target in example.targets
    ]


def test_only_answers_and_the_ends_of_their_turns_count(tokenizer):
    record = chat(
        Message("system", "Be kind."), USER, Message("assistant", "Yes."), USER,
        Message("assistant", "No."),
    )  # fmt: skip
    made = build_examples([record], tokenizer, cutoff_len=1_000)
    assert counted(made.examples[0], tokenizer) == [f"Yes.{END}", f"No.{END}"]


def test_the_weight_of_a_message_is_kept_and_0_leaves_it_out(tokenizer):
    record = chat(
        USER, Message("assistant", "a", weight=0), USER, Message("assistant", "b", weight=0.5),
        USER, Message("assistant", "c"),
    )  # fmt: skip
    example = build_examples([record], tokenizer, cutoff_len=1_000).examples[0]
    assert counted(example, tokenizer) == [f"b{END}", f"c{END}"]
    assert [target.weight for target in example.targets] == [0.5, 1]


def test_a_text_counts_whole_but_for_its_first_token(tokenizer):
    example = build_examples([Record.of_text("Once.")], tokenizer, cutoff_len=1_000).examples[0]
    assert counted(example, tokenizer) == [f"nce.{END}"]


def test_what_is_beyond_the_cutoff_is_cut_or_dropped_and_counted(tokenizer):
    fits = chat(Message("user", "1"), Message("assistant", "1"))
    is_cut = chat(Message("user", "1"), Message("assistant", "1" * 50))
    is_lost = chat(Message("user", "1" * 50), Message("assistant", "1"))
    empty = chat(Message("user", "1"), Message("assistant", "1", weight=0))
    made = build_examples([fits, is_cut, is_lost, empty], tokenizer, cutoff_len=30)
    assert (len(made.examples), made.cut, made.dropped_cut, made.dropped_empty) == (2, 1, 1, 1)
    assert "; 1 cut at 30 tokens (record 2); left out: 1 whose answer" in made.describe()
    assert made.describe().endswith(", 1 with nothing to learn (records 3, 4)")
    assert max(made.lengths) == 30
    assert all(example.target_tokens > 0 for example in made.examples)


def test_nothing_left_is_an_error_with_the_counts(tokenizer):
    lost = r"left out: 1 whose answer lies beyond the cut-off \(record 1\)"
    with pytest.raises(RecordError, match=lost):
        build_examples([chat(USER, Message("assistant", "x"))], tokenizer, cutoff_len=8)


def test_a_template_that_rewrites_earlier_messages_is_refused_by_record_number(tmp_path):
    forgetful = ChatTokenizer(write_tokenizer(tmp_path, FORGETFUL))
    fine = chat(USER, Message("assistant", "a"))
    record = chat(USER, Message("assistant", "a"), USER, Message("assistant", "b"))
    with pytest.raises(RecordError, match="record 2, message 2"):
        build_examples([fine, record], forgetful, cutoff_len=100)


def test_a_refusal_of_the_template_is_told_without_its_words(tmp_path):
    chatty = ChatTokenizer(write_tokenizer(tmp_path, CHATTY))
    with pytest.raises(RecordError) as caught:
        build_examples([chat(USER, Message("assistant", "a"))], chatty, cutoff_len=100)
    assert "Record 1" in str(caught.value) and "Hi?" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_preference_is_refused(tokenizer):
    answer = Message("assistant", "Yes.")
    record = Record("preference", (USER,), chosen=answer, rejected=answer)
    with pytest.raises(RecordError, match="Record 1 is of kind preference"):
        build_examples([record], tokenizer, cutoff_len=100)


def test_calls_of_tools_are_learnt_where_the_template_knows_none(tokenizer):
    call = {"name": "ping", "arguments": {"a": 1}}
    record = Record(
        "chat",
        messages=(USER, Message("assistant", "", tool_calls=(call,))),
        tools=({"type": "function", "function": {"name": "ping", "parameters": {}}},),
    )
    example = build_examples([record], tokenizer, cutoff_len=1_000).examples[0]
    (answer,) = counted(example, tokenizer)
    assert answer == f'<tool_call>\n{{"name": "ping", "arguments": {{"a": 1}}}}\n</tool_call>{END}'
    assert '"name": "ping"' in tokenizer.decode(example.token_ids[: example.targets[0].start])


def test_of_pre_training_all_counts_and_nothing_is_cut(tokenizer):
    text, talk = "Once upon a time there was rain.", chat(USER, Message("assistant", "Yes."))
    made = build_texts([Record.of_text(text), talk], tokenizer, cutoff_len=10)
    assert (made.cut, made.dropped_cut, made.dropped_empty) == (0, 0, 0)
    found = "".join(tokenizer.decode(e.token_ids, special=True) for e in made.examples)
    rendered = tokenizer.render([{"role": "user", "content": "Hi?"}], opening=True)
    assert found.startswith(f"{text}{END}{rendered}Yes.")
    assert all(e.targets == (Target(1, len(e)),) for e in made.examples)
    assert max(made.lengths) == 10

"""Which tokens count. The tokenizer here is a real one: one token per character, ChatML."""

import pytest

from adaptery.records import Message, Record
from adaptery_training.examples import build_examples
from adaptery_training.failures import BadDataError


class CharacterTokenizer:
    """One token per character; the end of a turn is the single character U+0003."""

    is_fast = True
    chat_template = "chatml"
    eos_token = "\x03"
    eos_token_id = 3

    def apply_chat_template(
        self, conversation, tools=None, *, tokenize=True, add_generation_prompt=False
    ):
        assert not tokenize
        text = "".join(f"<{m['role']}>{m['content']}{self.eos_token}\n" for m in conversation)
        return text + ("<assistant>" if add_generation_prompt else "")

    def __call__(self, text, *, add_special_tokens=True, return_offsets_mapping=False):
        encoded = {"input_ids": [ord(c) for c in text]}
        if return_offsets_mapping:
            encoded["offset_mapping"] = [(i, i + 1) for i in range(len(text))]
        return encoded


class ForgetfulTemplate(CharacterTokenizer):
    """Leaves out all answers but the last, as templates of reasoning models do with thoughts."""

    def apply_chat_template(self, conversation, tools=None, **options):
        last = len(conversation) - 1
        kept = [m for i, m in enumerate(conversation) if m["role"] != "assistant" or i == last]
        return super().apply_chat_template(kept, tools, **options)


class ChattyRefusal(CharacterTokenizer):
    """Quotes its input when it refuses, as templates may."""

    def apply_chat_template(self, conversation, tools=None, **options):
        raise ValueError(f"unsupported: {conversation}")


def chat(*turns: Message) -> Record:
    return Record("chat", messages=turns)


def counted(example) -> list[str]:
    text = "".join(chr(i) for i in example.token_ids)
    return [text[target.start : target.end] for target in example.targets]


USER = Message("user", "Hi?")


def test_only_answers_and_the_ends_of_their_turns_count():
    record = chat(
        Message("system", "Be kind."), USER, Message("assistant", "Yes."), USER,
        Message("assistant", "No."),
    )  # fmt: skip
    made = build_examples([record], CharacterTokenizer(), cutoff_len=1_000)
    assert counted(made.examples[0]) == ["Yes.\x03", "No.\x03"]


def test_the_weight_of_a_message_is_kept_and_0_leaves_it_out():
    record = chat(
        USER, Message("assistant", "a", weight=0), USER, Message("assistant", "b", weight=0.5),
        USER, Message("assistant", "c"),
    )  # fmt: skip
    example = build_examples([record], CharacterTokenizer(), cutoff_len=1_000).examples[0]
    assert counted(example) == ["b\x03", "c\x03"]
    assert [target.weight for target in example.targets] == [0.5, 1]


def test_a_text_counts_whole_but_for_its_first_token():
    example = build_examples(
        [Record.of_text("Once.")], CharacterTokenizer(), cutoff_len=1_000
    ).examples[0]
    assert counted(example) == ["nce.\x03"]


def test_what_is_beyond_the_cutoff_is_cut_or_dropped_and_counted():
    fits = chat(Message("user", "1"), Message("assistant", "1"))
    is_cut = chat(Message("user", "1"), Message("assistant", "1" * 50))
    is_lost = chat(Message("user", "1" * 50), Message("assistant", "1"))
    empty = chat(Message("user", "1"), Message("assistant", "1", weight=0))
    made = build_examples([fits, is_cut, is_lost, empty], CharacterTokenizer(), cutoff_len=30)
    assert (len(made.examples), made.cut, made.dropped_cut, made.dropped_empty) == (2, 1, 1, 1)
    assert max(made.lengths) == 30
    assert all(example.target_tokens > 0 for example in made.examples)


def test_nothing_left_is_an_error_with_the_counts():
    with pytest.raises(BadDataError, match="1 dropped because their answer"):
        build_examples([chat(USER, Message("assistant", "x"))], CharacterTokenizer(), cutoff_len=8)


def test_a_template_that_rewrites_earlier_messages_is_refused_by_record_number():
    fine = chat(USER, Message("assistant", "a"))
    record = chat(USER, Message("assistant", "a"), USER, Message("assistant", "b"))
    with pytest.raises(BadDataError, match="record 2, message 2"):
        build_examples([fine, record], ForgetfulTemplate(), cutoff_len=100)


def test_a_refusal_of_the_template_is_told_without_its_words():
    with pytest.raises(BadDataError) as caught:
        build_examples([chat(USER, Message("assistant", "a"))], ChattyRefusal(), cutoff_len=100)
    assert "record 1" in str(caught.value) and "Hi?" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_preference_is_refused():
    answer = Message("assistant", "Yes.")
    record = Record("preference", (USER,), chosen=answer, rejected=answer)
    with pytest.raises(BadDataError, match="Record 1 is of kind preference"):
        build_examples([record], CharacterTokenizer(), cutoff_len=100)

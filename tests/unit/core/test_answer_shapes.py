"""Answers in OpenAI's shape, whatever the engine sent."""

from hypothesis import given
from hypothesis import strategies as st

from adaptery.answer_shapes import AnswerHead, ChatShape, TextShape, Usage

HEAD = AnswerHead("chatcmpl-1", 1_700_000_000, "@demo/notes@1")


def chat_chunk(content: str | None, finish: str | None = None) -> dict:
    delta = {} if content is None else {"content": content}
    return {"model": "internal", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def test_a_chunk_carries_the_pinned_name_and_the_role_once() -> None:
    shape = ChatShape()
    first = shape.chunk(HEAD, shape.read(chat_chunk("He")))
    second = shape.chunk(HEAD, shape.read(chat_chunk("llo")))
    last = shape.chunk(HEAD, shape.read(chat_chunk(None, "stop")))
    assert first["model"] == "@demo/notes@1" and first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "He"}
    assert second["choices"][0]["delta"] == {"content": "llo"}
    assert last["choices"][0] | {"delta": {}, "finish_reason": "stop"} == last["choices"][0]
    assert "internal" not in str([first, second, last])


@given(st.lists(st.text(max_size=5), max_size=10))
def test_a_plain_answer_is_the_text_of_its_stream(parts: list[str]) -> None:
    stream, whole = ChatShape(), ChatShape()
    chunks = [stream.chunk(HEAD, stream.read(chat_chunk(part))) for part in parts]
    deltas = [d for part in parts for d in whole.read(chat_chunk(part))]
    answer = whole.whole(HEAD, deltas, Usage(1, 2))
    streamed = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert streamed == "".join(parts)
    if parts:
        assert answer["choices"][0]["message"] == {"role": "assistant", "content": streamed}
    assert answer["usage"]["total_tokens"] == 3


def test_several_prompts_keep_their_choices_apart() -> None:
    shape = TextShape()
    deltas = []
    for index, text, finish in [
        (1, "b", None),
        (0, "a", None),
        (1, "B", "stop"),
        (0, "A", "length"),
    ]:
        raw = {"choices": [{"index": index, "text": text, "finish_reason": finish}]}
        deltas += shape.read(raw)
    answer = shape.whole(HEAD, deltas, Usage())
    assert [(c["text"], c["finish_reason"]) for c in answer["choices"]] == [
        ("aA", "length"),
        ("bB", "stop"),
    ]


def test_what_an_engine_should_not_send_is_not_passed_on() -> None:
    for raw in ({}, {"choices": "x"}, {"choices": [1]}, {"choices": [{"delta": "x", "index": -1}]}):
        for delta in ChatShape().read(raw):
            assert delta.text == "" and delta.index == 0
    assert Usage.read({"prompt_tokens": "9", "completion_tokens": True}) == Usage()

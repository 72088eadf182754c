"""Answers in OpenAI's shape, whatever the engine sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.answer_parts import LEAST_CHARACTERS, LEAST_LOGPROB
from adaptery.answer_shapes import AnswerHead, AnswerLimits, ChatShape, TextShape, Usage, shape_of
from adaptery.errors import IntegrityError
from adaptery.schemas.openai import ChatRequest, CompletionRequest

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
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    streamed = "".join(choice["delta"].get("content", "") for choice in choices)
    assert streamed == "".join(parts)
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": streamed}
    assert answer["usage"]["total_tokens"] == 3


def test_several_prompts_keep_their_choices_apart() -> None:
    shape = TextShape(AnswerLimits(choices=2))
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


def chat_raw(delta: dict, index: int = 0, **fields: object) -> dict:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": None, **fields}]}


def call_piece(arguments: str, index: int = 0, **fields: object) -> dict:
    name = fields.pop("name", None)
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"index": index, "function": function, **fields}


def test_calls_of_tools_come_in_pieces_and_add_up() -> None:
    pieces = [
        call_piece("", id="call_1", name="weather", type="function", internal="x"),
        call_piece('{"city":'),
        call_piece("", index=1, id="../../etc", name="time"),
        call_piece(' "Lexington"}'),
        call_piece("{}", index=1),
    ]
    stream, whole = (ChatShape(AnswerLimits(tools=True)) for _ in range(2))
    raws = [chat_raw({"tool_calls": [piece]}) for piece in pieces]
    raws.append(chat_raw({}, finish_reason="tool_calls"))
    chunks = [stream.chunk(HEAD, stream.read(raw)) for raw in raws]
    first, second = (chunk["choices"][0]["delta"] for chunk in chunks[:2])
    assert first["role"] == "assistant" and first["content"] is None
    assert first["tool_calls"][0]["id"] == "call_1"
    assert second == {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}
    assert "internal" not in json.dumps(chunks) and "etc" not in json.dumps(chunks)
    answer = whole.whole(HEAD, [d for raw in raws for d in whole.read(raw)], Usage())
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "weather", "arguments": '{"city": "Lexington"}'},
        {"name": "time", "arguments": "{}"},
    ]
    assert all("index" not in call for call in choice["message"]["tool_calls"])
    assert len({call["id"] for call in choice["message"]["tool_calls"]}) == 2


def test_what_was_not_asked_for_is_left_out() -> None:
    shape = ChatShape()
    logprobs = {"content": [{"token": "a", "logprob": -1}]}
    raw = chat_raw({"content": "a", "tool_calls": [call_piece("{}", name="x")]}, logprobs=logprobs)
    (delta,) = shape.read(raw)
    assert (delta.text, delta.tool_pieces, delta.logprobs) == ("a", (), ())
    assert shape.read(chat_raw({"content": "b"}, index=1)) == []
    (last,) = shape.read(chat_raw({}, finish_reason="abort: /models/tiny"))
    assert last.finish_reason == "stop"


def test_logprobs_of_a_chat() -> None:
    def likely(token: str, logprob: object) -> dict:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "rank": 1}

    tops = [likely("a", -0.5), likely("b", -1.5), likely("c", -2.5)]
    content = [{**likely("a", -0.5), "top_logprobs": tops}, likely("z", "no number")]
    raw = chat_raw({"content": "az"}, logprobs={"content": content})
    shape = ChatShape(AnswerLimits(top_logprobs=2))
    (delta,) = shape.read(raw)
    choice = shape.chunk(HEAD, [delta])["choices"][0]
    a, z = choice["logprobs"]["content"]
    assert (a["token"], a["logprob"], a["bytes"]) == ("a", -0.5, [97])
    assert [other["token"] for other in a["top_logprobs"]] == ["a", "b"]
    assert (z["logprob"], z["top_logprobs"]) == (LEAST_LOGPROB, []) and "rank" not in str(choice)
    assert shape.whole(HEAD, [delta], Usage())["choices"][0]["logprobs"] == choice["logprobs"]


def test_logprobs_of_a_text_go_on_where_the_last_chunk_ended() -> None:
    def raw(*tokens: str) -> dict:
        logprobs = {
            "tokens": list(tokens),
            "token_logprobs": [-1.0] * len(tokens),
            "top_logprobs": [{token: -1.0, "x": -2.0, "y": -3.0} for token in tokens],
            "text_offset": [7] * len(tokens),
        }
        return {"choices": [{"index": 0, "text": "".join(tokens), "logprobs": logprobs}]}

    raws = [raw("He"), raw("llo", "!")]
    stream, whole = (TextShape(AnswerLimits(top_logprobs=1)) for _ in range(2))
    chunks = [stream.chunk(HEAD, stream.read(each)) for each in raws]
    offsets = [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in chunks]
    assert offsets == [[0], [2, 5]]
    answer = whole.whole(HEAD, [d for each in raws for d in whole.read(each)], Usage())
    logprobs = answer["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["He", "llo", "!"] and logprobs["text_offset"] == [0, 2, 5]
    assert logprobs["top_logprobs"][0] == {"He": -1.0, "x": -2.0}


def test_every_choice_that_was_asked_for_is_there() -> None:
    shape = shape_of(CompletionRequest(prompt=["x", "y"], n=2), 5)
    raw = {"choices": [{"index": i, "text": str(i)} for i in (3, 0, 9)]}
    answer = shape.whole(HEAD, shape.read(raw), Usage())
    assert [c["text"] for c in answer["choices"]] == ["0", "", "", "3"]
    assert {c["finish_reason"] for c in answer["choices"]} == {"stop"}


def test_an_agent_that_goes_on_is_cut_off() -> None:
    shape = ChatShape(AnswerLimits(tokens=3, top_logprobs=0, tools=True))
    with pytest.raises(IntegrityError):
        shape.read(chat_raw({"content": "x" * (LEAST_CHARACTERS + 1)}))
    shape = ChatShape(AnswerLimits(tokens=3, tools=True))
    piece = call_piece("x" * 1000)
    with pytest.raises(IntegrityError):
        for _ in range(LEAST_CHARACTERS):
            shape.read(chat_raw({"tool_calls": [piece]}))
    shape = ChatShape(AnswerLimits(tokens=3, top_logprobs=0))
    entries = {"content": [{"token": "x", "logprob": -1}] * 1000}
    with pytest.raises(IntegrityError):
        shape.read(chat_raw({"content": "x"}, logprobs=entries))


def test_usage_is_believed_up_to_what_was_asked_for() -> None:
    request = CompletionRequest.model_validate({"prompt": ["x", "y"], "best_of": 3})
    limits = shape_of(request, 5).limits
    assert limits.choices == 2 and limits.made_tokens == 30
    said = {"prompt_tokens": 2, "completion_tokens": 31}
    assert Usage.read(said, limits) == Usage(2, 30)
    assert Usage.read({"prompt_tokens": 10**9}, limits).prompt_tokens == 8_200


def test_half_a_character_is_none() -> None:
    shape = ChatShape(AnswerLimits(tools=True))
    piece = call_piece("\ud800")
    deltas = shape.read(chat_raw({"content": "é\ud800", "tool_calls": [piece]}))
    text = json.dumps(shape.chunk(HEAD, deltas), ensure_ascii=False)
    assert "é?" in text and text.encode()


FIELDS = [
    *("choices", "delta", "index", "content", "text", "tool_calls", "function", "name", "id"),
    *("arguments", "logprobs", "tokens", "token", "logprob", "top_logprobs", "bytes"),
    *("token_logprobs", "finish_reason", "stop_reason"),
]
#: JSON of any kind where an engine's chunk should be.
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "index",
                    "content",
                    "text",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "logprobs",
                    "tokens",
                    "token",
                    "logprob",
                    "top_logprobs",
                    "bytes",
                    "token_logprobs",
                    "finish_reason",
                    "stop_reason",
                    "id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.lists(junk, max_size=4))
def test_nothing_that_an_engine_sends_breaks_an_answer(choices: list) -> None:
    chat = ChatRequest.model_validate(
        {
            "messages": [{"role": "user", "content": "x"}],
            "n": 2,
            "logprobs": True,
            "top_logprobs": 1,
            "tools": [{"type": "function", "function": {"name": "x"}}],
        }
    )
    for request in (chat, CompletionRequest(prompt=["x"], logprobs=1)):
        shape = shape_of(request, 50)
        deltas = shape.read({"choices": choices})
        json.dumps(shape.chunk(HEAD, deltas), allow_nan=False)
        answer = shape.whole(HEAD, deltas, Usage())
        json.dumps(answer, allow_nan=False)
        assert len(answer["choices"]) == request.n

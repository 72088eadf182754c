from adaptery_inference.engine import Choice, FinishReason, Output
from adaptery_inference.server.answers import Answer, Shape, usage_of
from adaptery_inference.server.logprobs import text_logprobs
from adaptery_inference.server.tool_calls import ToolCallReader

PIECES = [b"a", b"\xc3", b"\xa9", b"\xf0\x9f", b"\x99\x82b", b"c"]
TEXT = b"".join(PIECES).decode()


def bytes_of(token: int) -> bytes:
    return PIECES[token]


def test_offsets_are_those_of_the_characters_in_the_text() -> None:
    choices = [Choice(token, -0.5) for token in range(len(PIECES))]
    found = text_logprobs(choices, bytes_of, 0, 0)
    assert found["text_offset"] == [0, 1, 1, 2, 2, 4]
    assert [TEXT[at] for at in (0, 1, 2, 4)] == ["a", "é", "🙂", "c"]
    raw = [r"bytes:\xc3", r"bytes:\xa9", r"bytes:\xf0\x9f", r"bytes:\x99\x82\x62"]
    assert found["tokens"] == ["a", *raw, "c"]
    parts = [text_logprobs(choices[:2], bytes_of, 0, 0), text_logprobs(choices[2:], bytes_of, 2, 0)]
    assert parts[0]["text_offset"] + parts[1]["text_offset"] == found["text_offset"]


def test_the_chosen_token_comes_on_top_of_the_likeliest() -> None:
    (top,) = text_logprobs([Choice(5, -3.0, ((0, -0.1),))], bytes_of, 0, 1)["top_logprobs"]
    assert top == {"a": -0.1, "c": -3.0}


def test_what_json_does_not_have_is_the_least_log_probability() -> None:
    found = text_logprobs([Choice(0, float("-inf"))], bytes_of, 0, 0)
    assert found["token_logprobs"] == [-9999.0]


def test_an_end_token_counts_and_is_not_shown() -> None:
    answer = Answer(bytes_of=bytes_of)
    answer.extend(Output("row", "a", Choice(0, -1.0)))
    end = Output("row", "", Choice(5, -3.0), True, FinishReason.STOP)
    assert answer.extend(end).choices == ()
    assert answer.mean_logprob == -2.0
    assert usage_of([answer], 7) == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
    }
    assert answer.whole().choices == (Choice(0, -1.0),)


def test_text_that_looked_like_a_call_comes_with_the_end() -> None:
    answer = Answer(ToolCallReader(["ping"]))
    assert answer.extend(Output("row", '{"name"', Choice(0))).text == ""
    last = answer.extend(Output("row", "", Choice(1), True, FinishReason.STOP))
    assert (last.text, last.finish_reason) == ('{"name"', "stop")


def test_a_call_that_is_cut_says_length() -> None:
    answer = Answer(ToolCallReader(["ping"]))
    answer.extend(Output("row", '{"name": "ping", "arguments": {"a', Choice(0)))
    last = answer.extend(Output("row", "", Choice(0), False, FinishReason.LENGTH))
    assert last.finish_reason == "length"
    choice = Shape(chat=True, model="m").whole([answer], {})["choices"][0]
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a'
    assert choice["message"]["content"] is None


def test_a_step_that_adds_nothing_is_no_chunk() -> None:
    shape = Shape(chat=True, model="m")
    delta = Answer(bytes_of=bytes_of).extend(Output("row", "", Choice(1, -1.0)))
    assert shape.delta(0, delta) is None
    told = Shape(chat=True, model="m", top_logprobs=0, bytes_of=bytes_of).delta(0, delta)
    assert told is not None  # half a character has its log probability all the same

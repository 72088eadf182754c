import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery_inference.server.tool_calls import ToolCallReader

NAMES = ("weather", "time.now")
CALL = '{"name": "weather", "arguments": {"city": "Bonn}", "deep": [{"a": "\\"}"}]}}'
ARGUMENTS = '{"city": "Bonn}", "deep": [{"a": "\\"}"}]}'
Read = tuple[str, list[tuple[str, str]]]


def read(parts: list[str], **options: bool) -> Read:
    """The text and the calls of an answer that comes in parts."""
    reader = ToolCallReader(NAMES, **options)
    shown, calls = "", []
    for part in parts:
        text, pieces = reader.feed(part)
        shown += text
        for piece in pieces:
            if piece.name is not None:
                assert piece.index == len(calls)
                calls.append((piece.name, ""))
            calls[piece.index] = (calls[piece.index][0], calls[piece.index][1] + piece.arguments)
    shown += reader.finish()
    assert reader.calls == len(calls)
    return shown, calls


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"  \n{CALL}",
        f"[{CALL}]",
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"<tool_call>{CALL}</tool_call>\n",
        CALL.replace('"arguments": ', '"parameters":'),
        CALL.replace(": ", ":").replace('{"name"', '{\n "name"'),
        f"<tool_call>\n{CALL}",
    ],
)
def test_a_call_is_found_however_it_is_written(text: str) -> None:
    shown, calls = read([text])
    assert shown == ""
    assert [(name, json.loads(arguments)) for name, arguments in calls] == [
        ("weather", json.loads(ARGUMENTS))
    ]


def test_several_calls_are_numbered_and_text_before_them_is_kept() -> None:
    second = '{"name": "time.now", "arguments": {}}'
    text = f"Let me see. <tool_call>{CALL}</tool_call>\n<tool_call>{second}</tool_call>"
    wanted = [("weather", ARGUMENTS), ("time.now", "{}")]
    assert read([text]) == ("Let me see. ", wanted)
    assert read([f"[{CALL}, {second}]"]) == ("", wanted)
    assert read([text], several=False) == ("Let me see. ", wanted[:1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello",
        "a < b and {c}",
        "<tool_call>nothing</tool_call>",
        '{"name": "unknown", "arguments": {}}',
        '{"name": "weather", "arguments": "text"}',
        '{"name": "weather"}',
        '{"answer": 42}',
        "[1] is a source",
        f"The call would be {CALL}",
        '{"name": "weather", "argum',
        "<tool_c",
    ],
)
def test_what_is_no_call_is_text(text: str) -> None:
    assert read([text]) == (text, [])
    assert read(list(text)) == (text, [])


def test_without_bare_calls_only_markers_count() -> None:
    assert read([CALL], bare=False) == (CALL, [])
    marked = f"<tool_call>{CALL}</tool_call>"
    assert read([marked], bare=False) == ("", [("weather", ARGUMENTS)])


def test_text_is_passed_on_at_once_and_arguments_as_they_come() -> None:
    reader = ToolCallReader(NAMES)
    assert reader.feed("Hello <b>") == ("Hello <b>", [])
    assert reader.feed(" <tool") == (" ", [])
    assert reader.feed("ing") == ("<tooling", [])
    opening = '<tool_call>{"name": "weather", "arguments": '
    assert reader.feed(opening) == ("", [])
    _, pieces = reader.feed('{"city"')
    assert [(p.name, p.arguments) for p in pieces] == [("weather", ""), (None, '{"city"')]
    _, pieces = reader.feed(': "B')
    assert [(p.index, p.name, p.arguments) for p in pieces] == [(0, None, ': "B')]


def test_a_call_that_is_cut_keeps_what_came() -> None:
    assert read([CALL[:60]]) == ("", [("weather", CALL[33:60])])


PARTS = st.sampled_from(
    [
        CALL,
        "<tool_call>",
        "</tool_call>",
        '{"name": "time.now", "parameters": {}}',
        '{"name": "x", "arguments": {}}',
        "text ",
        "<",
        "{",
        "}",
        "[",
        "]",
        "\n",
        ",",
        '"',
        "<tool_",
    ]
)


@given(st.lists(PARTS, max_size=6), st.lists(st.integers(1, 9), max_size=60), st.booleans())
def test_pieces_do_not_depend_on_the_cuts(parts: list[str], cuts: list[int], bare: bool) -> None:
    text = rest = "".join(parts)
    pieces = []
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    whole = read([text], bare=bare)
    assert read([*pieces, rest], bare=bare) == whole
    assert read(list(text), bare=bare) == whole

import json

import pytest

from adaptery.examples.tool_messages import plain_messages
from adaptery.schemas.openai import ChatRequest
from adaptery_inference.server.forms import Form, form_of

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}}
NAMED = {"type": "function", "function": {"name": "clock"}}


def form(**fields: object) -> Form:
    messages = [{"role": "user", "content": "hello"}]
    return form_of(ChatRequest.model_validate({"messages": messages, **fields}))


def test_free_text_has_no_grammar() -> None:
    assert form() == form(response_format={"type": "text"}) == Form()


def test_a_response_format_is_a_grammar() -> None:
    for wanted, type_ in (({"type": "json_object"}, "object"), (SCHEMA, "array")):
        source = form(response_format=wanted).grammar
        assert source is not None
        assert source.field == "response_format"
        assert json.loads(source.text.partition("%json ")[2])["type"] == type_


def test_a_callers_own_settings_of_the_library_are_replaced() -> None:
    schema = {"type": "object", "x-guidance": {"lenient": True}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    source = form(response_format=wanted).grammar
    assert source is not None
    assert "lenient" not in source.text


@pytest.mark.parametrize(
    ("choice", "names"), [("required", ["weather", "clock"]), (NAMED, ["clock"])]
)
def test_a_forced_call_is_a_grammar_of_the_tools_that_may_be_called(
    choice: object, names: list[str]
) -> None:
    found = form(tools=[WEATHER, CLOCK], tool_choice=choice)
    assert len(found.tools) == 2  # the model is told of all
    assert found.grammar is not None
    assert found.grammar.field == "tools"
    assert [name for name in ("weather", "clock") if f'\\"{name}\\"' in found.grammar.text] == names
    assert not found.several_calls


def test_tools_that_may_be_called_leave_the_answer_free() -> None:
    found = form(tools=[WEATHER])
    assert (found.grammar, found.bare_calls, found.several_calls) == (None, True, True)
    assert not form(tools=[WEATHER], parallel_tool_calls=False).several_calls
    assert form(tools=[WEATHER], tool_choice="none") == Form()
    assert form(tools=[]).reader() is None


def test_with_a_response_format_only_marked_calls_are_calls() -> None:
    found = form(tools=[WEATHER], response_format=SCHEMA)
    assert found.grammar is not None
    assert not found.bare_calls
    assert found.grammar.text.startswith('start: json | "<tool_call>" call "</tool_call>"')


def test_tools_calls_and_results_are_written_out_for_templates_that_know_none() -> None:
    call = {"name": "weather", "arguments": {"city": "Bonn"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Sunny?"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": call}]},
        {"role": "tool", "content": "yes", "tool_call_id": "1"},
        {"role": "tool", "content": "very"},
    ]
    plain = plain_messages(messages, [WEATHER])
    assert [message["role"] for message in plain] == ["system", "user", "assistant", "user"]
    assert all(set(message) == {"role", "content"} for message in plain)
    assert str(plain[0]["content"]).startswith("Be brief.\n\n")
    assert json.dumps(WEATHER["function"]) in str(plain[0]["content"])
    assert plain[2]["content"] == f"<tool_call>\n{json.dumps(call)}\n</tool_call>"
    results = [f"<tool_response>\n{text}\n</tool_response>" for text in ("yes", "very")]
    assert plain[3]["content"] == "\n".join(results)
    assert plain_messages(messages[1:2], [WEATHER])[0]["role"] == "system"
    assert plain_messages(messages[:2], ()) == messages[:2]

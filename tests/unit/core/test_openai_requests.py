"""Every field of OpenAI's requests: what is taken, what is refused, and what an engine sees."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError
from adaptery.schemas.chat_tools import SCHEMA_CHARACTERS, SCHEMA_DEPTH
from adaptery.schemas.common import parse, parse_json
from adaptery.schemas.openai import ChatRequest, CompletionRequest

HELLO = [{"role": "user", "content": "hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}
VISIT = {
    "type": "json_schema",
    "json_schema": {
        "name": "visit",
        "schema": {"$defs": {"x": {"type": "string"}}, "$ref": "#/$defs/x"},
        "strict": True,
    },
}


def chat(**fields: object) -> ChatRequest:
    return parse_json(ChatRequest, json.dumps({"messages": HELLO, **fields}))


def text(**fields: object) -> CompletionRequest:
    return parse_json(CompletionRequest, json.dumps({"prompt": "hi", **fields}))


def nested(levels: int) -> dict:
    schema: dict = {}
    for _ in range(levels - 1):
        schema = {"items": schema}
    return schema


def tool(name: str = "f", **fields: object) -> dict:
    return {"type": "function", "function": {"name": name, **fields}}


def schema_format(schema: object, name: str = "x") -> dict:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


#: Fields of both routes, and what the engine gets of them.
SHARED: list[tuple[dict, dict]] = [
    ({"n": 1}, {}),
    ({"n": 3}, {"n": 3}),
    ({"seed": 7}, {"seed": 7}),
    ({"seed": -(2**63)}, {"seed": -(2**63) % (2**53 - 1)}),
    ({"stop": "END"}, {"stop": ["END"]}),
    ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    ({"stop": []}, {}),
    ({"frequency_penalty": 0, "presence_penalty": 0.0, "repetition_penalty": 1}, {}),
    ({"frequency_penalty": -2, "presence_penalty": 2}, None),
    ({"repetition_penalty": 1.2, "top_k": 40, "min_p": 0.05, "top_p": 0.9}, None),
    ({"top_k": -1, "min_p": 0}, {}),
    ({"top_k": 0}, {}),
    ({"logit_bias": {"50256": -100, "7": 1.5}}, {"logit_bias": {"50256": -100.0, "7": 1.5}}),
    ({"logit_bias": {}}, {}),
    ({"response_format": {"type": "text"}}, {}),
    ({"response_format": {"type": "json_object"}}, None),
    ({"response_format": VISIT}, None),
    ({"user": "me", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"}, {}),
]
CHAT: list[tuple[dict, dict]] = [
    ({"logprobs": True, "top_logprobs": 20}, None),
    ({"logprobs": True}, None),
    ({"logprobs": False, "top_logprobs": 0}, {}),
    ({"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": False}, None),
    ({"tools": [WEATHER], "tool_choice": "required"}, None),
    ({"tools": [WEATHER], "tool_choice": tool("get_weather")}, None),
    ({"tools": [], "tool_choice": "none", "parallel_tool_calls": True}, {}),
    ({"tools": [WEATHER], "functions": None, "function_call": None}, {"tools": [WEATHER]}),
    ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
    ({"best_of": 3, "prompt": "x", "echo": True}, {}),
]
TEXT: list[tuple[dict, dict]] = [
    ({"logprobs": 0}, None),
    ({"logprobs": 5}, None),
    ({"n": 2, "best_of": 4}, None),
    ({"n": 2, "best_of": 2}, {"n": 2}),
    ({"tools": [WEATHER], "messages": HELLO, "echo": False, "suffix": None}, {}),
]


def engine_fields(request: ChatRequest | CompletionRequest) -> dict:
    built = request.engine_request("m")
    again = parse(type(request), json.loads(json.dumps(built))).engine_request("m")
    assert again == built, "an agent reads what a gateway wrote as the same request"
    assert (built.pop("model"), built.pop("stream")) == ("m", True)
    assert built.pop("stream_options") == {"include_usage": True}
    built.pop("messages", None)
    built.pop("prompt", None)
    return built


@pytest.mark.parametrize("given, built", [*SHARED, *CHAT])
def test_a_chat_is_built_from_what_it_asks(given: dict, built: dict | None) -> None:
    assert engine_fields(chat(**given)) == (given if built is None else built)


@pytest.mark.parametrize("given, built", [*SHARED, *TEXT])
def test_a_text_is_built_from_what_it_asks(given: dict, built: dict | None) -> None:
    assert engine_fields(text(**given)) == (given if built is None else built)


@pytest.mark.parametrize(
    "schema, body", [(ChatRequest, {"messages": HELLO}), (CompletionRequest, {"prompt": "x"})]
)
def test_nulls_count_as_absent(schema: type, body: dict) -> None:
    nulls = dict.fromkeys(name for name in schema.model_fields if name not in body)
    assert parse(schema, {**body, **nulls}) == parse(schema, body)


REFUSED: list[tuple[dict, str]] = [
    ({"n": 0}, "n"),
    ({"n": 17}, "n"),
    ({"frequency_penalty": 2.1}, "frequency_penalty"),
    ({"presence_penalty": -2.1}, "presence_penalty"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"min_p": 1.1}, "min_p"),
    ({"top_k": -2}, "top_k"),
    ({"seed": 2**63}, "seed"),
    ({"logit_bias": {"7": 101}}, "logit_bias.7"),
    ({"logit_bias": {"x": 1}}, "logit_bias.x.[key]"),
    ({"logit_bias": {str(i): 1 for i in range(301)}}, "logit_bias"),
    ({"stop": [""]}, "stop.0"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
    ({"response_format": schema_format([])}, "response_format.json_schema.schema"),
    ({"response_format": schema_format({}, "a b")}, "response_format.json_schema.name"),
    (
        {"response_format": schema_format(nested(SCHEMA_DEPTH + 1))},
        "response_format.json_schema.schema",
    ),
    (
        {"response_format": schema_format({"x": "y" * SCHEMA_CHARACTERS})},
        "response_format.json_schema.schema",
    ),
    (
        {"response_format": schema_format({"a": [{"$ref": "http://x/y"}]})},
        "response_format.json_schema.schema",
    ),
    (
        {"response_format": schema_format({"$ref": "file:///etc/passwd"})},
        "response_format.json_schema.schema",
    ),
    (
        {"response_format": schema_format({"$dynamicRef": "x.json"})},
        "response_format.json_schema.schema",
    ),
]
REFUSED_CHATS: list[tuple[dict, str]] = [
    ({"top_logprobs": 1}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": "auto"}, "function_call"),
    ({"tools": [tool(str(i)) for i in range(129)]}, "tools"),
    ({"tools": [tool("a b")]}, "tools.0.function.name"),
    ({"tools": [tool(), tool()]}, "tools"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
    ({"tools": [tool(parameters=nested(SCHEMA_DEPTH + 1))]}, "tools.0.function.parameters"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [tool()], "tool_choice": "any"}, "tool_choice"),
    ({"tools": [tool()], "tool_choice": tool("g")}, "tool_choice"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
    (
        {"messages": [{"role": "assistant", "function_call": {"name": "f"}}]},
        "messages.0.function_call",
    ),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
]
REFUSED_TEXTS: list[tuple[dict, str]] = [
    ({"n": 3, "best_of": 2}, "best_of"),
    ({"best_of": 17}, "best_of"),
    ({"logprobs": 6}, "logprobs"),
    ({"prompt": ["x"] * 65}, "prompt"),
    ({"prompt": ["x"] * 33, "n": 2}, "prompt"),
    ({"prompt": ["x"] * 33, "best_of": 2}, "best_of"),
    ({"prompt": [1, 2, 3]}, "prompt"),
    ({"prompt": [[1, 2, 3]]}, "prompt"),
    ({"prompt": []}, "prompt"),
]


def test_a_part_that_is_no_text_is_the_only_fault() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse(ChatRequest, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})
    assert [problem.where for problem in caught.value.errors] == ["messages.0.content"]
    with pytest.raises(InvalidInputError) as caught:
        parse(ChatRequest, {"messages": []})
    assert [problem.where for problem in caught.value.errors] == ["messages"]


def refusal(schema: type, body: dict) -> str:
    with pytest.raises(InvalidInputError) as caught:
        parse_json(schema, json.dumps(body))
    problem = caught.value.errors[0]
    assert "Value error" not in problem.reason
    return problem.where


@pytest.mark.parametrize("fields, where", [*REFUSED, *REFUSED_CHATS])
def test_a_chat_that_is_refused_names_the_field(fields: dict, where: str) -> None:
    assert refusal(ChatRequest, {"messages": HELLO, **fields}) == where


@pytest.mark.parametrize("fields, where", [*REFUSED, *REFUSED_TEXTS])
def test_a_text_that_is_refused_names_the_field(fields: dict, where: str) -> None:
    assert refusal(CompletionRequest, {"prompt": "x", **fields}) == where


def test_calls_of_tools_and_their_results_are_messages() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    # As openai-python dumps its own answer.
    said = {
        "content": None,
        "role": "assistant",
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "tool_calls": [{**call, "internal": "x"}],
    }
    parts = [{"type": "text", "text": "9"}]
    result = {"role": "tool", "tool_call_id": "call_1", "name": "f", "content": parts}
    built = chat(messages=[*HELLO, said, result]).engine_request("m")["messages"]
    assert built == [
        *HELLO,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "9", "tool_call_id": "call_1", "name": "f"},
    ]


def test_calls_are_bounded() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "x" * 131_073}}
    for calls, where in (([call], "messages.0.tool_calls.0.function.arguments"), ([{}], "")):
        body = {"messages": [{"role": "assistant", "tool_calls": calls}]}
        assert refusal(ChatRequest, body).startswith(where)
    few = {"id": "c", "type": "function", "function": {"name": "f"}}
    body = {"messages": [{"role": "assistant", "tool_calls": [few] * 129}]}
    assert refusal(ChatRequest, body) == "messages.0.tool_calls"


def test_answers_are_counted() -> None:
    assert (chat(n=3).choice_count(), chat(n=3).made_count()) == (3, 3)
    request = text(prompt=["x", "y"], n=2, best_of=5)
    assert (request.choice_count(), request.made_count()) == (4, 10)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda i: st.lists(i) | st.dictionaries(st.text(), i),
        max_leaves=20,
    )
)
def test_any_value_of_any_field_is_taken_or_refused(value: object) -> None:
    for schema, body in ((ChatRequest, {"messages": HELLO}), (CompletionRequest, {"prompt": "x"})):
        for name in schema.model_fields:
            try:
                request = parse(schema, {**body, name: value})
            except InvalidInputError:
                continue
            json.dumps(request.engine_request("m"))

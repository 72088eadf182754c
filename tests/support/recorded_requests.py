"""What real clients send, word for word, recorded on loopback.

langchain-openai 1.7, langchain-community 0.4, litellm 1.106, and users of the first platform.
"""

from __future__ import annotations

CHAT = "chat/completions"
TEXT = "completions"

_PERSON = {
    "description": "A person.",
    "properties": {
        "name": {"title": "Name", "type": "string"},
        "age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Age"},
    },
    "required": ["name", "age"],
    "title": "Person",
    "type": "object",
    "additionalProperties": False,
}
_PERSON_FORMAT = {
    "type": "json_schema",
    "json_schema": {"schema": _PERSON, "name": "Person", "strict": True},
}
_PERSON_TOOL = {
    "type": "function",
    "function": {
        "name": "Person",
        "description": "A person.",
        "parameters": {
            "properties": {
                "name": {"type": "string"},
                "age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            },
            "required": ["name"],
            "type": "object",
        },
    },
}
_HI = [{"content": "hi", "role": "user"}]
_VLLM = {
    "frequency_penalty": 0.0,
    "logit_bias": None,
    "max_tokens": 256,
    "n": 1,
    "presence_penalty": 0.0,
    "temperature": 0.7,
    "top_p": 1.0,
}

#: Of each request: the route, the body, and the fields that an engine gets besides the text.
RECORDED: dict[str, tuple[str, dict, set[str]]] = {
    "ChatOpenAI": (CHAT, {"messages": _HI, "model": "@demo/soap", "stream": False}, set()),
    "ChatOpenAI.stream": (CHAT, {"messages": _HI, "model": "@demo/soap", "stream": True}, set()),
    "ChatOpenAI.with_structured_output": (
        CHAT,
        {
            "messages": _HI,
            "model": "@demo/soap",
            "response_format": _PERSON_FORMAT,
            "stream": False,
        },
        {"response_format"},
    ),
    "ChatOpenAI.with_structured_output, function_calling": (
        CHAT,
        {
            "messages": _HI,
            "model": "@demo/soap",
            "parallel_tool_calls": False,
            "stream": False,
            "tool_choice": {"type": "function", "function": {"name": "Person"}},
            "tools": [_PERSON_TOOL],
        },
        {"tools", "tool_choice", "parallel_tool_calls"},
    ),
    "ChatOpenAI.with_structured_output, json_mode": (
        CHAT,
        {
            "messages": [{"content": "json", "role": "user"}],
            "model": "@demo/soap",
            "response_format": {"type": "json_object"},
            "stream": False,
        },
        {"response_format"},
    ),
    "ChatOpenAI.bind_tools, any": (
        CHAT,
        {
            "messages": _HI,
            "model": "@demo/soap",
            "stream": False,
            "tool_choice": "required",
            "tools": [_PERSON_TOOL],
        },
        {"tools", "tool_choice"},
    ),
    "ChatOpenAI, a conversation with a tool": (
        CHAT,
        {
            "messages": [
                {"content": "s", "role": "system"},
                {"content": [{"type": "text", "text": "x"}], "role": "user"},
                {
                    "content": None,
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "type": "function",
                            "id": "c1",
                            "function": {"name": "Person", "arguments": '{"name": "a"}'},
                        }
                    ],
                },
                {"content": "42", "role": "tool", "tool_call_id": "c1"},
            ],
            "model": "@demo/soap",
            "stream": False,
        },
        set(),
    ),
    "ChatOpenAI, logprobs": (
        CHAT,
        {
            "messages": _HI,
            "model": "@demo/soap",
            "logprobs": True,
            "max_completion_tokens": 5,
            "n": 2,
            "seed": 1,
            "stop": ["x"],
            "stream": False,
            "top_logprobs": 2,
        },
        {"logprobs", "top_logprobs", "n", "seed", "stop"},
    ),
    "VLLMOpenAI": (
        TEXT,
        {"model": "b", "prompt": ["What is a SOAP note?"], "best_of": 2, **_VLLM},
        {"best_of", "temperature", "top_p"},
    ),
    "VLLMOpenAI.stream": (
        TEXT,
        {"model": "b", "prompt": "What", "logprobs": None, "stream": True, **_VLLM},
        {"temperature", "top_p"},
    ),
    "VLLMOpenAI, a batch": (
        TEXT,
        {"model": "b", "prompt": ["a"] * 20, "logprobs": None, **_VLLM},
        {"temperature", "top_p"},
    ),
    "litellm": (
        CHAT,
        {
            "messages": _HI,
            "model": "@demo/soap",
            "response_format": _PERSON_FORMAT,
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "top_k": 5,
            "repetition_penalty": 1.1,
            "adapter_id": "x",
        },
        {"response_format", "tools", "top_k", "repetition_penalty"},
    ),
    "litellm.text_completion": (
        TEXT,
        {"model": "@demo/soap", "prompt": "hi", "max_tokens": 4},
        set(),
    ),
    "a user of the first platform": (
        CHAT,
        {
            "model": "",
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "a"},
                {"role": "model", "content": "b"},
                {"role": "user", "content": "c"},
            ],
            "max_tokens": 100,
            "temperature": 0.2,
            "top_p": 0.9,
            "stream": False,
        },
        {"temperature", "top_p"},
    ),
}

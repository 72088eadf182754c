"""Tools for base models whose chat template knows none: as plain messages.

The tools are listed as JSON in the system message; calls and their results are written between
markers, as Hermes and Qwen models were trained to see them.

Source: NousResearch, Hermes-Function-Calling, README, "Prompt Format for Function Calling"; Qwen2.5
chat template (results of tools in the turn of the user).
"""

import json
from collections.abc import Mapping, Sequence
from typing import cast

Message = Mapping[str, object]
_INTRODUCTION = "You may call functions. Each line is one, as JSON:"
_INSTRUCTION = (
    "To call one, answer with nothing but\n"
    '<tool_call>\n{"name": <its name>, "arguments": <an object>}\n</tool_call>'
)


def plain_messages(
    messages: Sequence[Message], tools: Sequence[Message]
) -> list[dict[str, object]]:
    """The messages with tools, calls and results written out."""
    plain: list[dict[str, object]] = []
    before = None
    for message in messages:
        role, content = message["role"], str(message["content"])
        if role == "assistant":
            calls = [_call_text(call) for call in _listed(message.get("tool_calls"))]
            content = "\n".join([content, *calls] if content else calls)
        elif role == "tool":
            content = f"<tool_response>\n{content}\n</tool_response>"
        if role == before == "tool":  # several results are one turn, as templates want turns
            plain[-1]["content"] = f"{plain[-1]['content']}\n{content}"
        else:
            plain.append({"role": "user" if role == "tool" else role, "content": content})
        before = role
    return _introduced(plain, tools) if tools else plain


def _introduced(
    plain: list[dict[str, object]], tools: Sequence[Message]
) -> list[dict[str, object]]:
    lines = [json.dumps(tool["function"], ensure_ascii=False) for tool in tools]
    text = "\n".join([_INTRODUCTION, *lines, _INSTRUCTION])
    if plain and plain[0]["role"] == "system":
        return [{"role": "system", "content": f"{plain[0]['content']}\n\n{text}"}, *plain[1:]]
    return [{"role": "system", "content": text}, *plain]


def _call_text(call: object) -> str:
    assert isinstance(call, Mapping)
    return f"<tool_call>\n{json.dumps(call['function'], ensure_ascii=False)}\n</tool_call>"


def _listed(value: object) -> Sequence[object]:
    return cast("list[object]", value) if isinstance(value, list) else []

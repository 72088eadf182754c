"""An engine's frames for a request: as many answers as it asks for, of the form that it asks for.

Every answer is `Hello`, or `{"a": 1}` where JSON is asked for, or a call of the first tool that may
be called. What an engine says besides is there too (`rank`, `stop_reason`), to be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from adaptery.sealed import Frame

ARGUMENTS = ('{"city": ', '"Lexington"}')
PROMPT_TOKENS = 3  # of each prompt
ANSWER_TOKENS = 2

Json = dict[str, object]


def frames_for(path: str, request: Mapping[str, object]) -> list[Frame]:
    """Return what an engine answers."""
    chat = path == "chat/completions"
    prompt = request.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) else 1
    each = cast("int", request.get("n", 1))
    made = max(each, cast("int", request.get("best_of", 1))) * prompts
    frames: list[Frame] = []
    for index in range(each * prompts):
        calls = chat and request.get("tools") and request.get("tool_choice") != "none"
        parts = _calls(request) if calls else _texts(chat, request)
        frames += [_frame(index, part) for part in parts]
    usage = {
        "prompt_tokens": PROMPT_TOKENS * prompts,
        "completion_tokens": ANSWER_TOKENS * made,
        "total_tokens": 0,
    }
    return [*frames, Frame("usage", cast("Json", usage))]


def _frame(index: int, part: Json) -> Frame:
    choice = {"index": index, "finish_reason": None, "rank": 1, **part}
    return Frame("data", {"id": "engine-internal", "model": "ad_internal", "choices": [choice]})


def _texts(chat: bool, request: Mapping[str, object]) -> Iterator[Json]:
    tokens = ('{"a":', " 1}") if request.get("response_format") else ("He", "llo")
    for token in tokens:
        text: Json = {"delta": {"content": token}} if chat else {"text": token}
        ids = {"token_ids": [len(token)]} if request.get("return_token_ids") else {}
        yield {**text, "logprobs": _logprobs(chat, request, token), **ids}
    end: Json = {"delta": {}} if chat else {"text": ""}
    stops = cast("list[str]", request.get("stop", []))
    yield {**end, "finish_reason": "stop", "stop_reason": stops[0] if stops else None}


def _calls(request: Mapping[str, object]) -> Iterator[Json]:
    choice = request.get("tool_choice")
    tools = cast("list[dict[str, dict[str, str]]]", request["tools"])
    chosen = cast("dict[str, dict[str, str]]", choice if isinstance(choice, dict) else tools[0])
    function: Json = {"name": chosen["function"]["name"], "arguments": ""}
    first = {"index": 0, "id": "call_engine", "type": "function", "function": function}
    yield {"delta": {"role": "assistant", "content": None, "tool_calls": [first]}}
    for piece in ARGUMENTS:
        yield {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}
    yield {"delta": {}, "finish_reason": "tool_calls"}


def _logprobs(chat: bool, request: Mapping[str, object], token: str) -> Json | None:
    wanted = request.get("logprobs")
    if wanted is None or wanted is False:
        return None
    count = cast("int", request.get("top_logprobs", 0) if chat else wanted)
    others = [(f"{token}{i}" if i else token, -0.5 - i) for i in range(count)]
    if not chat:
        return {
            "tokens": [token],
            "token_logprobs": [-0.5],
            "top_logprobs": [dict(others)],
            "text_offset": [0],
        }
    top = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in others]
    entry = {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": top}
    return {"content": [entry]}

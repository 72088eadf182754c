"""The request an engine gets is built from typed fields and from nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery_hub.gateway.rebuild import (
    CHAT_FIELDS,
    COMPLETION_FIELDS,
    DEFAULT_MAX_TOKENS,
    MAX_TOKENS_LIMIT,
    CacheSalts,
    answer_count,
    check_streamed,
    most_tokens,
    rebuild,
)

SALT = "salt-of-a-tenant"

#: Fields with which other servers let a client reach adapters, paths, caches or templates.
SMUGGLED = {
    "adapter_id": "ad_x",
    "lora_request": {"lora_path": "/etc"},
    "cache_salt": "s",
    "chat_template": "{{x}}",
    "api_token": "t",
    "logit_bias": None,
    "extra_body": {"model": "y"},
    "n": None,
}


def test_unknown_fields_and_the_model_do_not_pass() -> None:
    body = {"model": "@demo/notes", "messages": [{"role": "user", "content": "hi"}], **SMUGGLED}
    built = rebuild(ChatRequest.model_validate(body), SALT)
    assert set(built) <= CHAT_FIELDS
    assert built["cache_salt"] == SALT
    assert "ad_x" not in json.dumps(built) and "notes" not in json.dumps(built)
    assert built["stream"] is True and built["stream_options"] == {"include_usage": True}


def test_roles_are_mapped_and_parts_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": parts},
        {"role": "model", "content": "ok"},
    ]
    built = rebuild(ChatRequest.model_validate({"messages": messages}), SALT)
    roles = [m["role"] for m in built["messages"]]  # type: ignore[union-attr]
    assert roles == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    "asked, built, most",
    [(None, None, DEFAULT_MAX_TOKENS), (7, 7, 7), (1_000_000, MAX_TOKENS_LIMIT, MAX_TOKENS_LIMIT)],
)
def test_max_tokens_is_limited_and_only_there_if_it_was_asked_for(
    asked: int | None, built: int | None, most: int
) -> None:
    request = CompletionRequest(prompt=["x"], max_tokens=asked)
    assert rebuild(request, SALT).get("max_tokens") == built
    assert most_tokens(request) == most


def test_a_prompt_may_be_a_text_or_a_list() -> None:
    for prompt in ("x", ["x", "y"]):
        built = rebuild(CompletionRequest.model_validate({"prompt": prompt}), SALT)
        assert built["prompt"] == prompt


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
EVERYTHING = {
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "min_p": 0.5,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "repetition_penalty": 1.5,
    "logit_bias": {"1": 1},
    "stop": ["x"],
    "seed": 1,
    "n": 2,
    "response_format": {"type": "json_object"},
    "max_tokens": 5,
}
CHAT = {
    "messages": [{"role": "user", "content": "hi"}],
    "logprobs": True,
    "top_logprobs": 2,
    "tools": [TOOL],
    "tool_choice": "required",
    "parallel_tool_calls": False,
}
TEXT = {"prompt": "x", "best_of": 3, "logprobs": 2, "return_token_ids": True}


def test_the_list_of_fields_is_closed_and_each_of_them_is_used() -> None:
    chat = rebuild(ChatRequest.model_validate({**SMUGGLED, **EVERYTHING, **CHAT}), SALT)
    text = rebuild(CompletionRequest.model_validate({**SMUGGLED, **EVERYTHING, **TEXT}), SALT)
    assert set(chat) == CHAT_FIELDS and set(text) == COMPLETION_FIELDS


def test_nothing_comes_in_from_inside_a_field() -> None:
    extra = {"adapter_id": "ad_x", "lora_path": "ad_x", "path": "ad_x"}
    call = {"id": "c", "type": "function", "function": {"name": "f", **extra}, **extra}
    answer_format = {"type": "json_schema", "json_schema": {"name": "x", **extra}, **extra}
    body = {
        "messages": [{"role": "assistant", "tool_calls": [call], **extra}],
        "tools": [{"type": "function", "function": {"name": "f", **extra}, **extra}],
        "tool_choice": {**extra, "type": "function", "function": {"name": "f", **extra}},
        "response_format": answer_format,
        "stream_options": extra,
    }
    assert "ad_x" not in json.dumps(rebuild(ChatRequest.model_validate(body), SALT))


def test_the_best_of_several_is_not_streamed() -> None:
    for fields, refused in (({"best_of": 2}, True), ({"best_of": 2, "n": 2}, False), ({}, False)):
        request = CompletionRequest.model_validate({"prompt": "x", "stream": True, **fields})
        if refused:
            with pytest.raises(InvalidInputError):
                check_streamed(request)
        else:
            check_streamed(request)
    check_streamed(CompletionRequest(prompt=["x"], best_of=2))


def test_answers_that_are_not_given_are_counted_too() -> None:
    assert answer_count(CompletionRequest(prompt=["x", "y"], n=2, best_of=4)) == 8


@given(st.dictionaries(st.text(max_size=12), st.integers() | st.text(max_size=5), max_size=8))
def test_no_extra_field_ever_passes(extra: dict) -> None:
    known = set(CompletionRequest.model_fields)
    body = {k: v for k, v in extra.items() if k not in known} | {"prompt": "x"}
    assert set(rebuild(CompletionRequest.model_validate(body), SALT)) <= COMPLETION_FIELDS


def test_what_a_caller_has_left_cuts_max_tokens_and_never_raises_it() -> None:
    request = CompletionRequest(prompt=["x"], max_tokens=10)
    assert rebuild(request, SALT, 7)["max_tokens"] == 7
    assert rebuild(request, SALT, 70)["max_tokens"] == 10


def test_salts_differ_between_tenants_and_deployments_and_say_nothing() -> None:
    salts, others = CacheSalts(b"a" * 32), CacheSalts(b"b" * 32)
    assert salts.of("tn_1") == CacheSalts(b"a" * 32).of("tn_1")
    assert len({salts.of("tn_1"), salts.of("tn_2"), others.of("tn_1")}) == 3
    assert "tn_1" not in salts.of("tn_1") and len(salts.of("tn_1")) == 43
    assert "aaa" not in repr(salts)

"""Conversations with tools as prompts, for templates that know tools and for those that do not."""

from pathlib import Path

import pytest

from adaptery_inference.errors import BadRequestError
from adaptery_inference.tokenizer import PromptTokenizer
from tiny.models import build_tiny_tokenizer

TOOL = {"type": "function", "function": {"name": "ping", "parameters": {"type": "object"}}}
CALL = {"id": "1", "type": "function", "function": {"name": "ping", "arguments": {"a": 1}}}
MESSAGES = [
    {"role": "user", "content": "Go"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "pong", "tool_call_id": "1"},
]
KNOWS_TOOLS = (
    "{% if tools %}tools:{{ tools | tojson }};{% endif %}"
    "{% for message in messages %}{{ message.role }}:{{ message.content }}"
    "{% for call in message.tool_calls %}{{ call.function.arguments.a }}{% endfor %};"
    "{% endfor %}"
)
REFUSES_ROLES = (
    "{% for message in messages %}{% if message.role == 'system' %}"
    "{{ raise_exception('no system message') }}{% endif %}{{ message.content }}{% endfor %}"
)


def tokenizer(folder: Path, template: str | None) -> PromptTokenizer:
    made = build_tiny_tokenizer()
    made.chat_template = template or made.chat_template
    made.save_pretrained(folder)
    return PromptTokenizer(folder)


def prompt(of: PromptTokenizer, tools: list[dict[str, object]]) -> str:
    return of.decode(of.encode_chat(MESSAGES, tools))


def test_a_template_that_knows_tools_gets_them_as_they_are(tmp_path: Path) -> None:
    found = prompt(tokenizer(tmp_path, KNOWS_TOOLS), [TOOL])
    assert found.startswith('tools:[{"type": "function", "function": {"name": "ping"')
    assert found.endswith("user:Go;assistant:1;tool:pong;")
    assert prompt(tokenizer(tmp_path, KNOWS_TOOLS), []).startswith("user:Go")


def test_a_template_that_knows_none_gets_plain_messages(tmp_path: Path) -> None:
    found = prompt(tokenizer(tmp_path, None), [TOOL])
    assert '"name": "ping"' in found
    assert '<tool_call>\n{"name": "ping", "arguments": {"a": 1}}\n</tool_call>' in found
    assert "user\n<tool_response>\npong\n</tool_response>" in found
    assert "functions" not in prompt(tokenizer(tmp_path, None), [])


def test_a_template_without_a_system_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="Begin with system or"):
        prompt(tokenizer(tmp_path, REFUSES_ROLES), [TOOL])


def test_an_adapter_s_own_template_is_taken_and_what_ends_its_answers(tmp_path: Path) -> None:
    tiny = tokenizer(tmp_path, None)
    assert tiny.takes("vicuna") and tiny.takes("chatml") and tiny.takes("model")
    assert not tiny.takes("llama3") and not tiny.takes("../secret")
    text = tiny.decode(tiny.encode_chat([{"role": "user", "content": "Go"}], (), "vicuna"))
    assert text.endswith("USER: Go ASSISTANT:")
    assert tiny.end_tokens() == {2}

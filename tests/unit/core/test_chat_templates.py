"""Our chat templates against their published formats, and what a stranger's template may do."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from adaptery.errors import InvalidInputError
from adaptery.examples import TEMPLATE_NAMES, ChatTokenizer
from adaptery.examples import chat_templates as module
from adaptery.examples.chat_templates import ChatTemplate, named_template
from support.tokenizer_folders import write_tokenizer

SYSTEM = {"role": "system", "content": "Be kind."}
HI, YES = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
#: By name: a system message, a turn of each, a question and the opening of the answer.
PUBLISHED = {
    "alpaca": "<s>Be kind.\n\n### Instruction:\nHi\n\n### Response:\nYes</s>\n\n"
    "### Instruction:\nHi\n\n### Response:\n",
    "chatml": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    "<|im_start|>assistant\nYes<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "default": "<s>System: Be kind.</s>\nHuman: Hi</s>\nAssistant:Yes</s>\n"
    "Human: Hi</s>\nAssistant:",
    "gemma": "<s><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\n"
    "Yes<end_of_turn>\n<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
    "llama2": "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Yes </s><s>[INST] Hi [/INST]",
    "llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nYes<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "<s> [INST] Be kind.\n\nHi [/INST] Yes</s> [INST] Hi [/INST]",
    "phi": "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nYes<|end|>\n"
    "<|user|>\nHi<|end|>\n<|assistant|>\n",
    "qwen": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    "<|im_start|>assistant\nYes<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "vicuna": "<s>Be kind. USER: Hi ASSISTANT: Yes</s>USER: Hi ASSISTANT:",
    "zephyr": "<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\nYes</s>\n"
    "<|user|>\nHi</s>\n<|assistant|>\n",
}


def render(source: str, *messages: object, **options: object) -> str:
    told = {"special_tokens": SPECIAL, "opening": False} | options
    return ChatTemplate(source).render(messages, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_a_template_of_ours_writes_the_published_format(name):
    template = named_template(name)
    found = template.render([SYSTEM, HI, YES, HI], special_tokens=SPECIAL, opening=True)
    assert found == PUBLISHED[name]


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_a_template_of_ours_only_adds_to_what_was_said_before(name):
    turns = [HI, YES, HI, YES]
    texts = [
        named_template(name).render(turns[:n], special_tokens=SPECIAL, opening=n % 2 == 1)
        for n in range(1, 5)
    ]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


def test_qwen_writes_tools_and_calls():
    call = {"function": {"name": "ping", "arguments": {"a": 1}}}
    tool = {"type": "function", "function": {"name": "ping"}}
    found = named_template("qwen").render(
        [HI, {"role": "assistant", "content": "", "tool_calls": [call]},
         {"role": "tool", "content": "pong"}],
        [tool], special_tokens=SPECIAL, opening=True,
    )  # fmt: skip
    assert "<tools>\n" + json.dumps(tool) + "\n</tools>" in found
    assert '<tool_call>\n{"name": "ping", "arguments": {"a": 1}}\n</tool_call><|im_end|>' in found
    assert "<|im_start|>user\n<tool_response>\npong\n</tool_response><|im_end|>" in found


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ namespace(__class__=1) }}",
        "{{ dict.__subclasses__() }}",
        "{% include '/etc/passwd' %}",
        "{{ raise_exception('no ' + messages[0].content) }}",
        "{% for a in range(10000000) %}x{% endfor %}",
    ],
)
def test_a_stranger_s_template_is_held_by_the_sandbox_and_not_quoted(source):
    with pytest.raises(InvalidInputError, match="refuses these messages") as caught:
        render(source, HI)
    assert "Hi" not in str(caught.value)


def test_what_a_template_writes_has_a_limit(monkeypatch):
    monkeypatch.setattr(module, "OUTPUT_LIMIT", 1_000)
    with pytest.raises(InvalidInputError, match="writes more than 1000"):
        render("{% for a in range(9000) %}{{ messages[0].content }}{% endfor %}", HI)


def test_a_broken_or_endless_template_is_refused():
    with pytest.raises(InvalidInputError, match="no valid"):
        ChatTemplate("{% for %}")
    with pytest.raises(InvalidInputError, match="longer than"):
        ChatTemplate("x" * (module.SOURCE_LIMIT + 1))


def test_marks_of_answers_and_loop_controls_are_taken():
    source = (
        "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}{{ strftime_now('%%') }}"
    )
    assert render(source, HI, YES) == "Hi%"


def test_a_name_that_is_none_of_ours_is_refused_with_those_that_are():
    with pytest.raises(InvalidInputError) as caught:
        named_template("../secret")
    assert "alpaca" in (caught.value.hint or "")


def test_a_template_whose_control_tokens_the_model_lacks_is_refused(tmp_path: Path):
    folder = write_tokenizer(tmp_path)
    with pytest.raises(InvalidInputError, match=r"chatml needs .*<\|im_start\|>"):
        ChatTokenizer(folder, "chatml")
    assert ChatTokenizer(folder, "alpaca").end_tokens() == {256}


def test_a_template_of_ours_replaces_the_model_s(tmp_path: Path):
    tokens = ("<|im_start|>", "<|im_end|>")
    tokenizer = ChatTokenizer(write_tokenizer(tmp_path, None, tokens=tokens), "chatml")
    assert tokenizer.render([HI], opening=True).startswith("<|im_start|>user\nHi<|im_end|>")
    assert tokenizer.end_tokens() == {256, 258}


def test_a_model_without_a_template_says_which_there_are(tmp_path: Path):
    tokenizer = ChatTokenizer(write_tokenizer(tmp_path, None))
    assert not tokenizer.has_template
    with pytest.raises(InvalidInputError, match="has no chat template") as caught:
        tokenizer.render([HI], opening=True)
    assert "vicuna" in (caught.value.hint or "")


def test_of_several_templates_that_for_tools_is_taken_where_there_are_some(tmp_path: Path):
    several = [
        {"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "tools"},
        {"name": "rag", "template": "{% broken"},
    ]
    tokenizer = ChatTokenizer(write_tokenizer(tmp_path, several))
    tool = {"type": "function", "function": {"name": "ping"}}
    assert tokenizer.render([HI], opening=True) == "plain"
    assert tokenizer.render([HI], [tool], opening=True) == "tools"


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_files_that_are_none_are_refused_without_their_text(tmp_path: Path, name: str):
    folder = write_tokenizer(tmp_path)
    (folder / name).write_text('["secret"]')
    with pytest.raises(InvalidInputError) as caught:
        ChatTokenizer(folder)
    assert "secret" not in str(caught.value)

"""What the form of an answer must be: from ``response_format`` and ``tools`` to a grammar.

Grammars are texts here; ``adaptery_inference.grammars`` compiles them. Spaces in JSON are limited
to one behind a comma or colon: small models otherwise write blank lines until they are cut.

Source: llguidance, docs/syntax.md (``%json``) and docs/json_schema.md (``x-guidance``).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from adaptery.schemas.chat_tools import NamedTool
from adaptery.schemas.openai import ChatRequest, ResponseFormat, Tool
from adaptery_inference.engine.grammars import GrammarSource
from adaptery_inference.server.tool_calls import END_MARKER, MARKER, ToolCallReader

#: No ``\\u`` escapes: half of a surrogate pair is JSON, but no text that a client could encode.
_STYLE = {
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
    "json_allowed_escapes": 'nrbtf\\"',
}
_NO_ARGUMENTS = {"type": "object", "properties": {}}
#: Where one of these stands, ``properties`` are not all that an object may have.
_OPEN = ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")


@dataclass(frozen=True)
class Form:
    """What one answer may look like, and how it is read."""

    tools: tuple[Tool, ...] = ()  # that the model is told of
    grammar: GrammarSource | None = None
    bare_calls: bool = True  # whether JSON without markers may be a call
    several_calls: bool = True

    def reader(self) -> ToolCallReader | None:
        """A reader for one answer; None where no tool may be called."""
        if not self.tools:
            return None
        names = [tool.function.name for tool in self.tools]
        return ToolCallReader(names, bare=self.bare_calls, several=self.several_calls)


def form_of(request: ChatRequest) -> Form:
    """The form of the answers to a chat request."""
    tools, choice = request.tools or (), request.tool_choice or "auto"
    answer = _json_rule(request.response_format)
    if not tools or choice == "none":
        return Form(grammar=answer_grammar(request.response_format))
    several = request.parallel_tool_calls is not False
    if choice != "auto":
        wanted = choice.function.name if isinstance(choice, NamedTool) else None
        callable_ = [tool for tool in tools if wanted in (None, tool.function.name)]
        source = "\n".join(["start: call", *_call_rules(callable_)])
        return Form(tools, GrammarSource(source, "tools"), several_calls=False)
    if answer is None:
        return Form(tools, several_calls=several)
    start = f"start: json | {_quoted(MARKER)} call {_quoted(END_MARKER)}"
    source = "\n".join([start, answer, *_call_rules(tools)])
    return Form(tools, GrammarSource(source, "response_format"), bare_calls=False)


def answer_grammar(wanted: ResponseFormat | None) -> GrammarSource | None:
    """The grammar of an answer without tools; None for free text."""
    rule = _json_rule(wanted)
    return GrammarSource(f"start: json\n{rule}", "response_format") if rule else None


def _json_rule(wanted: ResponseFormat | None) -> str | None:
    if wanted is None or wanted.type == "text":
        return None
    schema = wanted.json_schema.schema_ if wanted.json_schema else None
    return f"json: {_json(schema or {'type': 'object'})}"


def _call_rules(tools: Sequence[Tool]) -> list[str]:
    rules = ["call: " + " | ".join(f"call_{number}" for number in range(len(tools)))]
    for number, tool in enumerate(tools):
        opening = _quoted(f'{{"name": {json.dumps(tool.function.name)}, "arguments": ')
        rules.append(f'call_{number}: {opening} arguments_{number} "}}"')
        # Each schema is a document of its own, so references within it are not mixed up.
        rules.append(f"arguments_{number}: {_json(_parameters(tool))}")
    return rules


def _parameters(tool: Tool) -> dict[str, object]:
    """The schema of the arguments: always that of an object, without made-up properties.

    Most schemas do not forbid other properties, and small models would go on to invent some.
    """
    given = tool.function.parameters or _NO_ARGUMENTS
    listed = "properties" in given and not any(word in given for word in _OPEN)
    closed: dict[str, object] = {"additionalProperties": False} if listed else {}
    return {**closed, **given, "type": "object"}


def _json(schema: object) -> str:
    assert isinstance(schema, dict)
    return "%json " + json.dumps({**schema, "x-guidance": _STYLE})


def _quoted(text: str) -> str:
    """``text`` as a string of a Lark grammar, whose escapes are those of JSON."""
    return json.dumps(text)

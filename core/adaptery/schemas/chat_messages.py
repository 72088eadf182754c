"""Messages of a chat as OpenAI has them: text, the model's calls of tools, and their results.

Roles are mapped: `model` (sent by users of other platforms) and `function` become `assistant` and
`tool`, `developer` becomes `system`. Content that is null counts as empty: an assistant that only
calls tools has none.

Source: OpenAI API reference, chat/completions, `messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

__all__ = [
    "CALLS_LIMIT",
    "NAME_PATTERN",
    "ChatMessage",
    "FunctionName",
    "Lenient",
    "ToolCall",
    "refused",
]

CALLS_LIMIT = 128  # of tools in one message
CALL_ID_CHARACTERS = 128
#: Of one call. The arguments of a call are what a model wrote, so about as long as an answer.
ARGUMENTS_CHARACTERS = 131_072

_ROLES: Mapping[str, str] = {"model": "assistant", "developer": "system", "function": "tool"}

#: Source: OpenAI API reference, "a-z, A-Z, 0-9, or contain underscores and dashes"; vLLM and
#: LangChain take dots as well.
NAME_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"
FunctionName = Annotated[str, Field(pattern=NAME_PATTERN)]


class Lenient(BaseModel):
    """Base of what real clients send: fields that we do not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def refused(reason: str) -> BeforeValidator:
    """Return a validator that refuses everything but null, with the reason."""

    def refuse(value: object) -> None:
        if value is not None:
            raise ValueError(reason)

    return BeforeValidator(refuse)


def _mapped_role(value: object) -> object:
    return _ROLES.get(value, value) if isinstance(value, str) else value


def _joined_text(value: object) -> object:
    """Return the text of a list of content parts; the engine takes text only."""
    if value is None:
        return ""
    if not isinstance(value, list):
        return value
    texts: list[str] = []
    for part in cast("list[object]", value):
        fields = cast("dict[str, object]", part) if isinstance(part, dict) else {}
        text = fields.get("text")
        if fields.get("type") != "text" or not isinstance(text, str):
            raise ValueError("only parts of type text are offered; images and sound are not")
        texts.append(text)
    return "\n".join(texts)


class FunctionCall(Lenient):
    """The function that is called, and with what: JSON as a model wrote it, checked by nobody."""

    name: FunctionName
    arguments: Annotated[str, Field(max_length=ARGUMENTS_CHARACTERS)] = ""


class ToolCall(Lenient):
    """One call of a tool."""

    id: Annotated[str, Field(max_length=CALL_ID_CHARACTERS)] = ""
    type: Literal["function"] = "function"
    function: FunctionCall

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the call as the engine takes it."""
        call: dict[str, JsonValue] = {
            "name": self.function.name,
            "arguments": self.function.arguments,
        }
        return {"id": self.id, "type": "function", "function": call}


class ChatMessage(Lenient):
    """One message; text only."""

    role: Annotated[Literal["system", "user", "assistant", "tool"], BeforeValidator(_mapped_role)]
    content: Annotated[str, BeforeValidator(_joined_text)] = ""
    name: Annotated[str, Field(max_length=64)] | None = None
    tool_calls: Annotated[tuple[ToolCall, ...], Field(max_length=CALLS_LIMIT)] | None = None
    tool_call_id: Annotated[str, Field(max_length=CALL_ID_CHARACTERS)] | None = None
    function_call: Annotated[None, refused("is OpenAI's form of 2023; send tool_calls instead")] = (
        None
    )

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the message as the engine takes it."""
        message: dict[str, JsonValue] = {"role": self.role, "content": self.content}
        if self.role == "assistant" and self.tool_calls:
            message["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.role == "tool" and self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        if self.role == "tool" and self.name is not None:
            message["name"] = self.name  # of the tool; some templates write it
        return message

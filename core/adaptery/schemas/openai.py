"""Requests of the OpenAI-compatible routes.

Real clients send fields we do not have; they are ignored here and never forwarded: `engine_request`
rebuilds what the engine sees from the typed fields alone. Nulls count as absent. Roles are mapped:
`model` (sent by users of other platforms) and `function` become `assistant` and `tool`, `developer`
becomes `system`.

Source: OpenAI API reference (chat/completions, completions); openai-python 1.x types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

__all__ = ["ChatMessage", "ChatRequest", "CompletionRequest", "StreamOptions"]

MESSAGES_LIMIT = 2_000
PROMPTS_LIMIT = 64
STOP_LIMIT = 16  # stop sequences
STOP_CHARACTERS = 256
NAME_CHARACTERS = 400
TOKENS_LIMIT = 1_048_576

_ROLES: Mapping[str, str] = {"model": "assistant", "developer": "system", "function": "tool"}


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
            raise ValueError("only parts of type text are offered")
        texts.append(text)
    return "\n".join(texts)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ChatMessage(_Lenient):
    """One message; text only."""

    role: Annotated[Literal["system", "user", "assistant", "tool"], BeforeValidator(_mapped_role)]
    content: Annotated[str, BeforeValidator(_joined_text)] = ""
    name: Annotated[str, Field(max_length=64)] | None = None

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the message as the engine takes it."""
        return {"role": self.role, "content": self.content}


class StreamOptions(_Lenient):
    """Options of a streamed answer."""

    include_usage: bool | None = None


StopText = Annotated[str, Field(min_length=1, max_length=STOP_CHARACTERS)]


class _Sampling(_Lenient):
    model: Annotated[str, Field(max_length=NAME_CHARACTERS), BeforeValidator(lambda v: v or "")] = (
        ""
    )
    max_tokens: int | None = Field(default=None, ge=1, le=TOKENS_LIMIT)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    stop: (
        Annotated[list[StopText], BeforeValidator(_as_list), Field(max_length=STOP_LIMIT)] | None
    ) = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stream: Annotated[bool, BeforeValidator(lambda v: v if v is not None else False)] = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = 1  # one answer a request in this release
    user: Annotated[str, Field(max_length=NAME_CHARACTERS)] | None = None

    def wants_usage(self) -> bool:
        """Tell whether a streamed answer ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def _shared(self, model: str) -> dict[str, JsonValue]:
        fields: dict[str, JsonValue] = {
            "model": model,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": list(self.stop) if self.stop else None,
            "seed": self.seed,
        }
        present: dict[str, JsonValue] = {k: v for k, v in fields.items() if v is not None}
        return {**present, "stream": True, "stream_options": {"include_usage": True}}


class ChatRequest(_Sampling):
    """`POST v1/chat/completions`."""

    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=MESSAGES_LIMIT)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=TOKENS_LIMIT)

    def token_limit(self) -> int | None:
        """Return the most tokens to make; the newer field wins."""
        return self.max_completion_tokens or self.max_tokens

    def engine_request(self, model: str) -> dict[str, JsonValue]:
        """Return the request for the engine under a model name, always streamed and with usage."""
        request = self._shared(model)
        request["messages"] = [message.to_dict() for message in self.messages]
        if (limit := self.token_limit()) is not None:
            request["max_tokens"] = limit
        return request


class CompletionRequest(_Sampling):
    """`POST v1/completions`; token ids as prompts are not offered."""

    prompt: Annotated[
        list[str], BeforeValidator(_as_list), Field(min_length=1, max_length=PROMPTS_LIMIT)
    ]

    def token_limit(self) -> int | None:
        """Return the most tokens to make."""
        return self.max_tokens

    def engine_request(self, model: str) -> dict[str, JsonValue]:
        """Return the request for the engine under a model name, always streamed and with usage."""
        request = self._shared(model)
        request["prompt"] = self.prompt[0] if len(self.prompt) == 1 else list(self.prompt)
        if self.max_tokens is not None:
            request["max_tokens"] = self.max_tokens
        return request

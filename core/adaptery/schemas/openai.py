"""Requests of the OpenAI-compatible routes.

Real clients send fields we do not have; they are ignored here and never forwarded: `engine_request`
rebuilds what the engine sees from the typed fields alone. Nulls count as absent.

Invariants:
- Every field has a limit, and what one request may ask for in all is limited too.
- A field that changes nothing (`n: 1`, a penalty of 0) is not forwarded.
- Reading an engine's request again gives the same engine's request: an agent believes no gateway.

Source: OpenAI API reference (chat/completions, completions); vLLM's extra sampling parameters
`top_k`, `min_p` and `repetition_penalty`.
"""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import BeforeValidator, Field, JsonValue, ValidationInfo, field_validator

from adaptery.canonical import SAFE_INTEGER
from adaptery.schemas.chat_messages import ChatMessage, Lenient, ToolCall, refused
from adaptery.schemas.chat_tools import (
    TOOLS_LIMIT,
    JsonSchema,
    NamedTool,
    ResponseFormat,
    Tool,
    ToolChoice,
)

__all__ = [
    "ANSWERS_LIMIT",
    "ChatMessage",
    "ChatRequest",
    "CompletionRequest",
    "JsonSchema",
    "ResponseFormat",
    "StreamOptions",
    "Tool",
    "ToolCall",
]

MESSAGES_LIMIT = 2_000
PROMPTS_LIMIT = 64
CHOICES_LIMIT = 16  # n, and best_of
ANSWERS_LIMIT = 64  # that one request makes: prompts times the larger of n and best_of
STOP_LIMIT = 16  # stop sequences
STOP_CHARACTERS = 256
NAME_CHARACTERS = 400
TOKENS_LIMIT = 1_048_576
BIASES_LIMIT = 300
BIAS = 100  # the strongest, both ways
TOP_K_LIMIT = 1_048_576  # more than any vocabulary has

_OLD_TOOLS = "is OpenAI's form of 2023; send tools and tool_choice instead"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _or_one(value: object) -> object:
    return 1 if value is None else value


def _prompts(value: object) -> object:
    if not isinstance(value, list):
        return _as_list(value)
    found = cast("list[object]", value)
    if any(isinstance(prompt, int | list) for prompt in found):
        raise ValueError(
            "holds token ids, which are not offered: each base model has its own; send the text"
        )
    return found


def _limited(value: object) -> object:
    # Other servers write "all tokens" as -1 or 0.
    return None if value in (-1, 0) else value


class StreamOptions(Lenient):
    """Options of a streamed answer."""

    include_usage: bool | None = None


StopText = Annotated[str, Field(min_length=1, max_length=STOP_CHARACTERS)]
TokenId = Annotated[str, Field(pattern=r"^[0-9]{1,7}$")]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class _Sampling(Lenient):
    model: Annotated[str, Field(max_length=NAME_CHARACTERS), BeforeValidator(lambda v: v or "")] = (
        ""
    )
    max_tokens: int | None = Field(default=None, ge=1, le=TOKENS_LIMIT)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: Annotated[int | None, Field(ge=1, le=TOP_K_LIMIT), BeforeValidator(_limited)] = None
    min_p: float | None = Field(default=None, ge=0, le=1)
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    logit_bias: (
        Annotated[
            dict[TokenId, Annotated[float, Field(ge=-BIAS, le=BIAS)]],
            Field(max_length=BIASES_LIMIT),
        ]
        | None
    ) = None
    stop: (
        Annotated[list[StopText], BeforeValidator(_as_list), Field(max_length=STOP_LIMIT)] | None
    ) = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    n: Annotated[int, Field(ge=1, le=CHOICES_LIMIT), BeforeValidator(_or_one)] = 1
    response_format: ResponseFormat | None = None
    stream: Annotated[bool, BeforeValidator(lambda v: v if v is not None else False)] = False
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(max_length=NAME_CHARACTERS)] | None = None

    def wants_usage(self) -> bool:
        """Tell whether a streamed answer ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def _shared(self, model: str) -> dict[str, JsonValue]:
        fields: dict[str, JsonValue] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p or None,
            "frequency_penalty": self.frequency_penalty or None,
            "presence_penalty": self.presence_penalty or None,
            "repetition_penalty": self.repetition_penalty if self.repetition_penalty != 1 else None,
            "logit_bias": dict(self.logit_bias) if self.logit_bias else None,
            "stop": list(self.stop) if self.stop else None,
            "seed": _carried(self.seed),
            "n": self.n if self.n > 1 else None,
            "response_format": self.response_format and self.response_format.to_dict(),
        }
        return {
            "model": model,
            **_present(fields),
            "stream": True,
            "stream_options": {"include_usage": True},
        }


class ChatRequest(_Sampling):
    """`POST v1/chat/completions`."""

    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=MESSAGES_LIMIT)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=TOKENS_LIMIT)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: Annotated[tuple[Tool, ...], Field(max_length=TOOLS_LIMIT)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[None, refused(_OLD_TOOLS)] = None
    function_call: Annotated[None, refused(_OLD_TOOLS)] = None

    @field_validator("top_logprobs")
    @classmethod
    def _has_logprobs(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and not info.data.get("logprobs"):
            raise ValueError("needs logprobs: true")
        return value

    @field_validator("tools")
    @classmethod
    def _have_names_of_their_own(cls, tools: tuple[Tool, ...] | None) -> tuple[Tool, ...] | None:
        names = _names(tools)
        if len(set(names)) < len(names):
            raise ValueError("holds two tools with the same name")
        return tools

    @field_validator("tool_choice")
    @classmethod
    def _can_be_chosen(cls, choice: ToolChoice | None, info: ValidationInfo) -> ToolChoice | None:
        names = _names(info.data.get("tools"))
        if isinstance(choice, NamedTool) and choice.function.name not in names:
            raise ValueError("names a tool that is not in tools")
        if choice == "required" and not names:
            raise ValueError("requires a tool, but there are none in tools")
        return choice

    def tool_names(self) -> tuple[str, ...]:
        """Return the names of the tools that may be called."""
        return _names(self.tools)

    def prompt_characters(self) -> int:
        """Return about how long the prompt is, without what a chat template adds."""
        parts = [*(message.to_dict() for message in self.messages), *self._tool_fields().values()]
        return sum(len(str(part)) for part in parts)

    def token_limit(self) -> int | None:
        """Return the most tokens to make; the newer field wins."""
        return self.max_completion_tokens or self.max_tokens

    def choice_count(self) -> int:
        """Return how many choices the answer has."""
        return self.n

    def made_count(self) -> int:
        """Return how many answers are made, to give those."""
        return self.n

    def top_logprobs_limit(self) -> int | None:
        """Return how many alternatives each token has; None if no logprobs are asked for."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def engine_request(self, model: str) -> dict[str, JsonValue]:
        """Return the request for the engine under a model name, always streamed and with usage."""
        fields: dict[str, JsonValue] = {
            "messages": [message.to_dict() for message in self.messages],
            "max_tokens": self.token_limit(),
            "logprobs": self.logprobs or None,
            "top_logprobs": self.top_logprobs or None,
        }
        return {**self._shared(model), **_present(fields), **self._tool_fields()}

    def _tool_fields(self) -> dict[str, JsonValue]:
        if not self.tools:
            return {}
        choice = self.tool_choice
        fields: dict[str, JsonValue] = {
            "tools": [tool.to_dict() for tool in self.tools],
            "tool_choice": choice.to_dict() if isinstance(choice, NamedTool) else choice,
            "parallel_tool_calls": self.parallel_tool_calls,
        }
        return _present(fields)


class CompletionRequest(_Sampling):
    """`POST v1/completions`; token ids as prompts are not offered."""

    prompt: Annotated[
        list[str], BeforeValidator(_prompts), Field(min_length=1, max_length=PROMPTS_LIMIT)
    ]
    best_of: int | None = Field(default=None, ge=1, le=CHOICES_LIMIT)
    logprobs: int | None = Field(default=None, ge=0, le=5)
    return_token_ids: bool | None = None  # vLLM's; LoRAX's answers hold them

    @field_validator("prompt")
    @classmethod
    def _not_too_many(cls, prompts: list[str], info: ValidationInfo) -> list[str]:
        _check_answers(len(prompts), info.data.get("n", 1))
        return prompts

    @field_validator("best_of")
    @classmethod
    def _enough_to_choose_from(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None:
            if value < info.data.get("n", 1):
                raise ValueError("is less than n")
            _check_answers(len(info.data.get("prompt", ())), value)
        return value

    def prompt_characters(self) -> int:
        """Return how long all prompts are."""
        return sum(map(len, self.prompt))

    def token_limit(self) -> int | None:
        """Return the most tokens to make."""
        return self.max_tokens

    def choice_count(self) -> int:
        """Return how many choices the answer has."""
        return self.n * len(self.prompt)

    def made_count(self) -> int:
        """Return how many answers are made, to give the best of those."""
        return max(self.n, self.best_of or 1) * len(self.prompt)

    def top_logprobs_limit(self) -> int | None:
        """Return how many alternatives each token has; None if no logprobs are asked for."""
        return self.logprobs

    def engine_request(self, model: str) -> dict[str, JsonValue]:
        """Return the request for the engine under a model name, always streamed and with usage."""
        fields: dict[str, JsonValue] = {
            "prompt": self.prompt[0] if len(self.prompt) == 1 else list(self.prompt),
            "max_tokens": self.max_tokens,
            "best_of": self.best_of if (self.best_of or 1) > self.n else None,
            "logprobs": self.logprobs,
            "return_token_ids": self.return_token_ids or None,
        }
        return {**self._shared(model), **_present(fields)}


def _names(tools: tuple[Tool, ...] | None) -> tuple[str, ...]:
    return tuple(tool.function.name for tool in tools or ())


def _check_answers(prompts: int, each: int) -> None:
    if prompts * each > ANSWERS_LIMIT:
        raise ValueError(f"makes more than {ANSWERS_LIMIT} answers in all; send fewer prompts")


def _present(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in fields.items() if value is not None}


def _carried(seed: int | None) -> int | None:
    """Return the seed as JSON carries it exactly."""
    return seed if seed is None or abs(seed) <= SAFE_INTEGER else seed % SAFE_INTEGER

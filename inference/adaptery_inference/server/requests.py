"""What callers send, as typed fields.

Unknown fields are ignored, because real clients send many; nulls count as left out. A wrong field
is a 400 that names the field and never its value.
"""

import secrets
from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from adaptery.errors import FieldProblem
from adaptery.schemas.openai import ChatMessage, StreamOptions
from adaptery_inference.engine.sampling import SamplingParams
from adaptery_inference.errors import BadRequestError

M = TypeVar("M", bound=BaseModel)
MAX_ANSWERS = 16  # n times prompts in one request; each takes a row
MAX_NAME_CHARACTERS = 200
_SEED_RANGE = 2**63


def _or_default(default: object) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None else value)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Generation(_Request):
    model: Annotated[str, _or_default("")] = ""
    max_tokens: int | None = None
    temperature: Annotated[float, _or_default(1.0)] = 1.0
    top_p: Annotated[float, _or_default(1.0)] = 1.0
    top_k: int | None = None
    seed: int | None = None
    stop: Annotated[tuple[str, ...], BeforeValidator(_as_list), _or_default(())] = ()
    n: Annotated[int, Field(ge=1, le=MAX_ANSWERS), _or_default(1)] = 1
    ignore_eos: Annotated[bool, _or_default(False)] = False
    stream: Annotated[bool, _or_default(False)] = False
    stream_options: StreamOptions | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def answer_limit(self) -> int | None:
        """The most tokens of one answer."""
        return self.max_tokens

    def sampling(self, number: int) -> SamplingParams:
        """How answer ``number`` is sampled: with a seed of its own, made from the caller's.

        Raises:
            BadRequestError: a value is out of range.
        """
        seed = secrets.randbits(62) if self.seed is None else (self.seed + number) % _SEED_RANGE
        # Other servers write "all tokens" as -1 or 0.
        top_k = self.top_k if self.top_k is not None and self.top_k > 0 else None
        return SamplingParams(
            max_tokens=self.answer_limit(),
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=top_k,
            seed=seed,
            stop=self.stop,
            ignore_eos=self.ignore_eos,
        )


class ChatGeneration(_Generation):
    """``POST /v1/chat/completions``."""

    messages: Annotated[tuple[ChatMessage, ...], Field(min_length=1)]
    max_completion_tokens: int | None = None

    def answer_limit(self) -> int | None:
        """The most tokens of one answer; the newer field wins."""
        return self.max_completion_tokens or self.max_tokens


#: A prompt as token ids, for callers that tokenise themselves.
TokenPrompt = Annotated[list[StrictInt], Field(min_length=1)]


class CompletionGeneration(_Generation):
    """``POST /v1/completions``."""

    prompt: str | Annotated[list[str], Field(min_length=1)] | TokenPrompt

    def prompts(self) -> Sequence[str | list[int]]:
        """One entry per prompt."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        texts = [text for text in self.prompt if isinstance(text, str)]
        return texts or [[token for token in self.prompt if isinstance(token, int)]]


class LoadAdapter(_Request):
    """``POST /v1/load_lora_adapter``, as vLLM has it."""

    lora_name: Annotated[
        str, Field(max_length=MAX_NAME_CHARACTERS, pattern=r"^[A-Za-z0-9@._:/+~-]+$")
    ]
    lora_path: Annotated[str, Field(min_length=1)]


class UnloadAdapter(_Request):
    """``POST /v1/unload_lora_adapter``, as vLLM has it."""

    lora_name: str


def parse(schema: type[M], body: bytes) -> M:
    """Make a request of a body.

    Raises:
        BadRequestError: naming each field that is wrong.
    """
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        problems = [
            FieldProblem(".".join(str(part) for part in e["loc"]) or "body", e["type"])
            for e in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise BadRequestError(errors=problems) from None  # the cause quotes the input

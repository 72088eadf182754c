"""Requests of the LoRAX-compatible routes, as `lorax-client` and the paper's Listing 4 send them.

A LoRAX request becomes a completion of ours (`completion`), so that everything behind it is the
same. Of an adapter the caller gives the name, and nothing more: where its files lie
(`adapter_source`) and with which token they are fetched (`api_token`) are the service's business,
and what is said about them is ignored.

Invariants:
- What changes an answer and is not offered is refused by name, never dropped in silence.
- Without `do_sample` or a setting of sampling the answer is greedy, and one is made: as LoRAX has
  it, and as the paper's Table IV presets `best_of` and `do_sample`.

Source: LoRAX, router/src/lib.rs (GenerateParameters) and lorax-client 0.6, types.py.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, ValidationInfo, field_validator

from adaptery.errors import FieldProblem, NotOfferedError
from adaptery.schemas.chat_messages import Lenient
from adaptery.schemas.chat_tools import JsonSchema
from adaptery.schemas.openai import (
    CHOICES_LIMIT,
    NAME_CHARACTERS,
    STOP_LIMIT,
    TOKENS_LIMIT,
    TOP_K_LIMIT,
    CompletionRequest,
    StopText,
)

__all__ = ["LoraxParameters", "LoraxRequest"]

#: Settings that change an answer and that no engine of ours has.
_NOT_OFFERED = (
    "merged_adapters",
    "ignore_eos_token",
    "truncate",
    "typical_p",
    "watermark",
    "decoder_input_details",
    "return_k_alternatives",
)
#: A path as LoRAX has it for adapters on its disk; dot segments are none.
_PATH = re.compile(r"/?(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)+([A-Za-z0-9][A-Za-z0-9._@-]*)")
#: What such a path begins with; none of these can be a name of ours, no tenant being called so.
_FOLDERS = ("/", "adapters/", "data/adapters/", "models/")


def _or_false(value: object) -> object:
    return False if value is None else value


Flag = Annotated[bool, BeforeValidator(_or_false)]


class LoraxFormat(Lenient):
    """The form of an answer."""

    type: Literal["text", "json_object"]
    schema_: Annotated[JsonSchema | None, Field(alias="schema")] = None

    def to_openai(self) -> dict[str, JsonValue]:
        """Return the format as OpenAI has it."""
        if self.type == "json_object" and self.schema_ is not None:
            named: dict[str, JsonValue] = {"name": "answer", "schema": self.schema_}
            return {"type": "json_schema", "json_schema": named}
        return {"type": self.type}


class LoraxParameters(Lenient):
    """How the answer is made, and by which adapter."""

    adapter_id: Annotated[str, Field(max_length=NAME_CHARACTERS)] | None = None
    do_sample: Flag = False
    max_new_tokens: int | None = Field(default=None, ge=1, le=TOKENS_LIMIT)
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    return_full_text: Flag = False
    stop: Annotated[list[StopText], Field(max_length=STOP_LIMIT)] | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**64)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_k: int | None = Field(default=None, ge=1, le=TOP_K_LIMIT)
    top_p: float | None = Field(default=None, gt=0, le=1)
    best_of: int | None = Field(default=None, ge=1, le=CHOICES_LIMIT)
    details: Flag = False
    response_format: LoraxFormat | None = None
    merged_adapters: JsonValue = None
    ignore_eos_token: JsonValue = None
    truncate: JsonValue = None
    typical_p: JsonValue = None
    watermark: JsonValue = None
    decoder_input_details: JsonValue = None
    return_k_alternatives: JsonValue = None

    @field_validator("best_of")
    @classmethod
    def _has_something_to_choose_from(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value > 1:
            if info.data.get("seed") is not None:
                raise ValueError("makes the same answer each time with a seed; leave one of both")
            if not _is_sampled(info.data):
                raise ValueError("makes the same answer each time; set do_sample")
        return value

    def is_sampled(self) -> bool:
        """Whether tokens are drawn, and not always the likeliest taken."""
        return self.temperature != 0 and _is_sampled(dict(self))

    def check_offered(self) -> None:
        """Refuse what is not offered.

        Raises:
            NotOfferedError: there is such a setting.
        """
        fields = dict(self)
        problems = [
            FieldProblem(f"parameters.{name}", "is not offered here.", "Leave it out.")
            for name in _NOT_OFFERED
            if fields[name] not in (None, False)
        ]
        if problems:
            raise NotOfferedError("These parameters are not offered here.", errors=problems)

    def model(self) -> str:
        """Return the name of the adapter; of a path on a disk, its end."""
        name = self.adapter_id or ""
        path = _PATH.fullmatch(name) if name.startswith(_FOLDERS) else None
        return path[1] if path else name


class LoraxRequest(Lenient):
    """`POST lorax/`, `lorax/generate` and `lorax/generate_stream`."""

    inputs: Annotated[str, Field(min_length=1)]
    parameters: Annotated[LoraxParameters, BeforeValidator(lambda v: {} if v is None else v)] = (
        LoraxParameters()
    )
    stream: Flag = False

    def completion(self, *, stream: bool) -> CompletionRequest:
        """Return what is asked as a completion.

        Args:
            stream: whether the answer is streamed, which the route may decide.

        Raises:
            NotOfferedError: a setting is not offered here.
        """
        asked = self.parameters
        asked.check_offered()
        form = asked.response_format
        fields: dict[str, JsonValue] = {
            "model": asked.model(),
            "prompt": [self.inputs],
            "max_tokens": asked.max_new_tokens,
            "temperature": asked.temperature if asked.is_sampled() else 0,
            "top_p": asked.top_p,
            "top_k": asked.top_k,
            "repetition_penalty": asked.repetition_penalty,
            "frequency_penalty": asked.frequency_penalty,
            "stop": list(asked.stop) if asked.stop else None,
            "seed": asked.seed if asked.seed is None else asked.seed % 2**63,
            "best_of": asked.best_of,
            "response_format": form.to_openai() if form else None,
            "logprobs": 0 if stream or asked.details else None,
            "return_token_ids": True if stream or asked.details else None,
            "stream": stream,
        }
        return CompletionRequest.model_validate(fields)


def _is_sampled(fields: dict[str, object]) -> bool:
    settings = ("temperature", "top_k", "top_p")
    return bool(fields.get("do_sample")) or any(fields.get(name) is not None for name in settings)

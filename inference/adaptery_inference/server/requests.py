"""What callers send, as typed fields: those of core's OpenAI requests, and the engine's own.

Unknown fields are ignored, because real clients send many; nulls count as left out. A field that
would change the answer and is not offered is refused. A wrong field is a 400 that names the field
and never its value.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
)

from adaptery.errors import FieldProblem
from adaptery.schemas.chat_messages import ChatMessage, Lenient, ToolCall
from adaptery.schemas.openai import ANSWERS_LIMIT, ChatRequest, CompletionRequest
from adaptery_inference.engine.grammars import Grammar
from adaptery_inference.engine.sampling import SamplingParams
from adaptery_inference.errors import BadRequestError

M = TypeVar("M", bound=BaseModel)
MAX_ANSWERS = ANSWERS_LIMIT  # of all prompts in one request; each takes a row
MAX_NAME_CHARACTERS = 200
_SEED_RANGE = 2**63


def _not_offered(value: object) -> None:
    if value:
        raise ValueError("is not offered by this engine")


def _flag(value: object) -> object:
    return False if value is None else value


NotOffered = Annotated[None, BeforeValidator(_not_offered)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class _EngineFields(Lenient):
    """What the engine takes beyond OpenAI, and what it does not offer of OpenAI and vLLM."""

    ignore_eos: Flag = False
    audio: NotOffered = None
    echo: NotOffered = None
    prompt_logprobs: NotOffered = None
    suffix: NotOffered = None
    use_beam_search: NotOffered = None
    #: vLLM's older ways to hold an answer to a form; ignoring them would answer with anything.
    guided: NotOffered = Field(
        default=None,
        validation_alias=AliasChoices(
            "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"
        ),
    )


class ChatGeneration(ChatRequest, _EngineFields):
    """``POST /v1/chat/completions``."""

    return_token_ids: Flag = False

    def conversation(self) -> list[Mapping[str, object]]:
        """The messages as chat templates take them: arguments of calls are objects.

        Raises:
            BadRequestError: the arguments of a call are no JSON object.
        """
        return [_template_message(number, each) for number, each in enumerate(self.messages)]


#: A prompt as token ids, for callers that tokenise themselves.
TokenPrompt = Annotated[list[StrictInt], Field(min_length=1)]


class CompletionGeneration(CompletionRequest, _EngineFields):
    """``POST /v1/completions``."""

    prompt: str | Annotated[list[str], Field(min_length=1)] | TokenPrompt  # pyright: ignore[reportIncompatibleVariableOverride]

    @field_validator("prompt")
    @classmethod
    def _not_too_many(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, prompt: str | list[str] | list[int]
    ) -> str | list[str] | list[int]:
        return prompt  # a list of token ids is one prompt; `made_each` counts

    @field_validator("best_of")
    @classmethod
    def _enough_to_choose_from(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, value: int | None
    ) -> int | None:
        return value

    def prompts(self) -> Sequence[str | list[int]]:
        """One entry per prompt."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        texts = [text for text in self.prompt if isinstance(text, str)]
        return texts or [[token for token in self.prompt if isinstance(token, int)]]

    def made_each(self) -> int:
        """How many answers are made for each prompt.

        Raises:
            BadRequestError: there are too many in all, or too few to choose from.
        """
        made = self.n if self.best_of is None else self.best_of
        if made < self.n:
            raise BadRequestError.for_field("best_of", f"must be at least n, which is {self.n}.")
        if made * len(self.prompts()) > MAX_ANSWERS:
            raise BadRequestError.for_field(
                "prompt", f"asks for more than {MAX_ANSWERS} answers.", "Send fewer at a time."
            )
        return made


def sampling_of(
    request: ChatGeneration | CompletionGeneration,
    number: int,
    *,
    vocabulary: int,
    grammar: Grammar | None = None,
    ranked: bool = False,
) -> SamplingParams:
    """How answer ``number`` is sampled: with a seed of its own, made from the caller's.

    Args:
        request: what was asked.
        number: of the answer, among all of the request.
        vocabulary: how many tokens there are.
        grammar: what the answer must be.
        ranked: whether answers are chosen by their log probabilities.

    Raises:
        BadRequestError: a value is out of range.
    """
    seed = request.seed
    bias = {int(token): value for token, value in (request.logit_bias or {}).items()}
    if any(token >= vocabulary for token in bias):
        reason = f"has a token outside 0 to {vocabulary - 1}."
        raise BadRequestError.for_field("logit_bias", reason)
    top = request.top_logprobs_limit()
    return SamplingParams(
        max_tokens=request.token_limit(),
        temperature=_or(request.temperature, 1.0),
        top_p=_or(request.top_p, 1.0),
        top_k=request.top_k,
        min_p=_or(request.min_p, 0.0),
        seed=secrets.randbits(62) if seed is None else (seed + number) % _SEED_RANGE,
        stop=tuple(request.stop or ()),
        ignore_eos=request.ignore_eos,
        frequency_penalty=_or(request.frequency_penalty, 0.0),
        presence_penalty=_or(request.presence_penalty, 0.0),
        repetition_penalty=_or(request.repetition_penalty, 1.0),
        logit_bias=bias,
        logprobs=0 if top is None and ranked else top,
        grammar=grammar,
    )


class LoadAdapter(Lenient):
    """``POST /v1/load_lora_adapter``, as vLLM has it."""

    lora_name: Annotated[
        str, Field(max_length=MAX_NAME_CHARACTERS, pattern=r"^[A-Za-z0-9@._:/+~-]+$")
    ]
    lora_path: Annotated[str, Field(min_length=1)]


class UnloadAdapter(Lenient):
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
            FieldProblem(_where(e["loc"]), e["msg"].removeprefix("Value error, "))
            for e in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise BadRequestError(errors=problems) from None  # the cause quotes the input


def _where(location: tuple[int | str, ...]) -> str:
    # Below a bias stand keys that the caller made up.
    parts = location[:1] if location[:1] == ("logit_bias",) else location
    return ".".join(str(part) for part in parts) or "body"


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _template_message(number: int, message: ChatMessage) -> Mapping[str, object]:
    plain: dict[str, object] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    if message.role == "tool" and message.name is not None:
        plain["name"] = message.name
    if message.role == "assistant" and message.tool_calls:
        plain["tool_calls"] = [
            _template_call(f"messages.{number}.tool_calls.{position}", call)
            for position, call in enumerate(message.tool_calls)
        ]
    return plain


def _template_call(where: str, call: ToolCall) -> Mapping[str, object]:
    try:
        arguments = json.loads(call.function.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise BadRequestError.for_field(f"{where}.function.arguments", "is no JSON object.")
    function = {"name": call.function.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}

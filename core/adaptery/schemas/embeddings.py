"""`POST v1/embeddings` as OpenAI has it: the request, checked text by text.

Real clients send fields we do not have; they are ignored. A wrong text is named by its place, never
quoted.

Source: OpenAI API reference (embeddings); openai-python, `resources/embeddings.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from adaptery.errors import FieldProblem, InvalidInputError

__all__ = [
    "TEXTS_LIMIT",
    "TEXT_CHARACTERS",
    "TOKENS_PROBLEM",
    "EmbeddingRequest",
    "text_problems",
]

TEXTS_LIMIT = 2048  # of one request, as OpenAI has it
#: Of one text. A model reads some hundred tokens of it; even with every character escaped it fits
#: into one sealed message.
TEXT_CHARACTERS = 131_072
NAME_CHARACTERS = 400
#: Wrong texts that are named in one error.
_NAMED_LIMIT = 20

#: What is wrong with token ids; clients that cut texts by a tokenizer of their own send them.
TOKENS_PROBLEM = FieldProblem(
    "input",
    "holds token ids; only text is offered, for each model has its own tokens.",
    "send text; in langchain-openai: OpenAIEmbeddings(check_embedding_ctx_length=False)",
)


def text_problems(texts: Sequence[object]) -> list[FieldProblem]:
    """Return what is wrong with texts, each named by its place; some of it, if it is much."""
    problems = (_problem(f"input.{place}", text) for place, text in enumerate(texts))
    return list(islice((problem for problem in problems if problem is not None), _NAMED_LIMIT))


def _problem(where: str, text: object) -> FieldProblem | None:
    """Return what is wrong with a text; None if nothing is."""
    if not isinstance(text, str):
        return FieldProblem(where, "is not a text.", "send a string")
    if not text:
        return FieldProblem(where, "is an empty text, which has no embedding.", "leave it out")
    if len(text) > TEXT_CHARACTERS:
        return FieldProblem(where, f"has more than {TEXT_CHARACTERS} characters.", "split it")
    return None


def _is_tokens(item: object) -> bool:
    return (isinstance(item, int) and not isinstance(item, bool)) or isinstance(item, list)


def _texts(value: object) -> object:
    """Return the input as a list of texts.

    Raises:
        InvalidInputError: it is none; each wrong text is named by its place.
    """
    if not isinstance(value, list):
        problem = _problem("input", value)
        texts, problems = [value], [problem] if problem is not None else []
    else:
        texts = cast("list[object]", value)
        if not 1 <= len(texts) <= TEXTS_LIMIT:
            reason = f"has {len(texts)} texts; the limit is {TEXTS_LIMIT}."
            problems = [FieldProblem("input", reason, f"send 1 to {TEXTS_LIMIT} at a time")]
        else:
            problems = [TOKENS_PROBLEM] if all(map(_is_tokens, texts)) else text_problems(texts)
    if problems:
        raise InvalidInputError(errors=problems)
    return texts


_TEXT: dict[str, JsonValue] = {"type": "string", "minLength": 1, "maxLength": TEXT_CHARACTERS}
_SHAPE: dict[str, JsonValue] = {
    "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": TEXTS_LIMIT}]
}


class EmbeddingRequest(BaseModel):
    """Texts to embed."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    #: The name of an embedding model; empty or null means the default one.
    model: Annotated[str, Field(max_length=NAME_CHARACTERS), BeforeValidator(lambda v: v or "")] = (
        ""
    )
    input: Annotated[list[str], BeforeValidator(_texts), WithJsonSchema(_SHAPE)]
    encoding_format: Annotated[
        Literal["float", "base64"], BeforeValidator(lambda v: "float" if v is None else v)
    ] = "float"
    #: Taken only if it is what the model has anyway.
    dimensions: int | None = Field(default=None, ge=1)
    user: Annotated[str, Field(max_length=NAME_CHARACTERS)] | None = None

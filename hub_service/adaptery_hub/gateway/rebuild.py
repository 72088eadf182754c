"""The request an engine gets: built anew from the typed fields of the caller's request.

The schemas rebuild (`engine_request`); this adds the limits of this service and takes the model
away. Which weights answer is decided by the gateway alone and travels beside the request, never in
it.

Invariants:
- The keys of the result are a subset of `CHAT_FIELDS` or `COMPLETION_FIELDS`, whatever the caller
  sent.
- It always streams and always asks for usage: the gateway makes a plain answer itself.
- `max_tokens` is never above the limit. Where the caller names none there is none: the grant says
  the most, and the agent makes what the context has room for.
- `cache_salt` is the service's, one per tenant, and never the caller's: an engine that keeps
  prompts in a prefix cache answers faster what it has seen, and the time tells. Under its own salt
  a tenant sees its own prompts only. Our engine keeps no such cache and ignores the field.
"""

from __future__ import annotations

import hmac

from adaptery import base64url
from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.schemas.openai import ChatRequest, CompletionRequest

Json = dict[str, object]

_SHARED_FIELDS = frozenset(
    {
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "logit_bias",
        "stop",
        "seed",
        "n",
        "logprobs",
        "response_format",
        "stream",
        "stream_options",
        "cache_salt",
    }
)
CHAT_FIELDS = _SHARED_FIELDS | {
    "messages",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
}
COMPLETION_FIELDS = _SHARED_FIELDS | {"prompt", "best_of", "return_token_ids"}

REMEMBERED_SALTS = 20_000

DEFAULT_MAX_TOKENS = 512  # when the caller does not say
MAX_TOKENS_LIMIT = 32_768  # an engine applies its own context length, which is smaller

#: Of one token of a prompt, on average.
TOKEN_CHARACTERS = 4
#: Tokens of a prompt that an engine reads, all at once, in the time in which it makes one.
READ_TOKENS = 8


class CacheSalts:
    """Gives each tenant a salt that says nothing about it and stays the same."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: dict[str, str] = {}

    def of(self, tenant_id: str) -> str:
        """Return the salt of a tenant: 256 bits, as vLLM advises."""
        salt = self._known.get(tenant_id)
        if salt is None:
            if len(self._known) >= REMEMBERED_SALTS:
                self._known.clear()
            salt = base64url.encode(hmac.digest(self._secret, tenant_id.encode(), "sha256"))
            self._known[tenant_id] = salt
        return salt


def most_tokens(request: ChatRequest | CompletionRequest, limit: int | None = None) -> int:
    """Return the most tokens that one answer to this request may have.

    Args:
        request: what the caller asked.
        limit: the most tokens of one answer that the caller has left.
    """
    most = min(request.token_limit() or DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT)
    return most if limit is None else min(most, limit)


def prompt_tokens(request: ChatRequest | CompletionRequest) -> int:
    """Return about how many tokens the prompt has, for where its agent has not said so."""
    return -(-request.prompt_characters() // TOKEN_CHARACTERS)


def turn_cost(request: ChatRequest | CompletionRequest, most: int) -> int:
    """Return what a request counts for whose turn it is.

    Args:
        request: what the caller asked.
        most: the most tokens of one answer.
    """
    return most * request.made_count() + prompt_tokens(request) // READ_TOKENS


def answer_count(request: ChatRequest | CompletionRequest) -> int:
    """Return how many answers are made for this request; those not given cost the same."""
    return request.made_count()


def check_streamed(request: ChatRequest | CompletionRequest) -> None:
    """Refuse to stream the best of several answers: none is the best before all have ended.

    Not a rule of the schema: agents always stream, and hold such an answer back.

    Raises:
        InvalidInputError: the request asks for that.
    """
    if request.stream and request.made_count() > request.choice_count():
        problem = FieldProblem("best_of", "cannot be streamed.", "Leave stream or best_of out.")
        raise InvalidInputError(errors=[problem])


def rebuild(
    request: ChatRequest | CompletionRequest, cache_salt: str, limit: int | None = None
) -> Json:
    """Returns the request that is sealed to an agent.

    Args:
        request: what the caller asked.
        cache_salt: of the caller's tenant.
        limit: the most tokens of one answer that the caller has left.
    """
    allowed = CHAT_FIELDS if isinstance(request, ChatRequest) else COMPLETION_FIELDS
    built = request.engine_request("")
    del built["model"]
    if "max_tokens" in built:
        built["max_tokens"] = most_tokens(request, limit)
    built["cache_salt"] = cache_salt
    assert allowed.issuperset(built), "the schema forwards a field that the gateway does not know"
    return dict(built)

"""The request an engine gets: built anew from the typed fields of the caller's request.

The schemas rebuild (`engine_request`); this adds the limits of this service and takes the model
away. Which weights answer is decided by the gateway alone and travels beside the request, never in
it.

Invariants:
- The keys of the result are a subset of `CHAT_FIELDS` or `COMPLETION_FIELDS`, whatever the caller
  sent.
- It always streams and always asks for usage: the gateway makes a plain answer itself.
- `max_tokens` is always set and never above the limit.
"""

from __future__ import annotations

from adaptery.schemas.openai import ChatRequest, CompletionRequest

Json = dict[str, object]

_SHARED_FIELDS = frozenset(
    {"max_tokens", "temperature", "top_p", "stop", "seed", "stream", "stream_options"}
)
CHAT_FIELDS = _SHARED_FIELDS | {"messages"}
COMPLETION_FIELDS = _SHARED_FIELDS | {"prompt"}

DEFAULT_MAX_TOKENS = 512  # when the caller does not say
MAX_TOKENS_LIMIT = 32_768  # an engine applies its own context length, which is smaller


def rebuild(request: ChatRequest | CompletionRequest) -> Json:
    """Returns the request that is sealed to an agent."""
    allowed = CHAT_FIELDS if isinstance(request, ChatRequest) else COMPLETION_FIELDS
    built = request.engine_request("")
    del built["model"]
    built["max_tokens"] = min(request.token_limit() or DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT)
    assert allowed.issuperset(built), "the schema forwards a field that the gateway does not know"
    return dict(built)

"""The sealed channel: what a caller asks for before it seals a request, gets, and sends.

The request itself is not here: the service never sees it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from adaptery.schemas.common import Answer, Instant, Model, Sensitivity
from adaptery.schemas.openai import ANSWERS_LIMIT, NAME_CHARACTERS, TOKENS_LIMIT

__all__ = ["SealedOffer", "SealedOfferCreate", "SealedPath", "SealedSend"]

#: Agents that a caller can say it has tried.
TRIED_LIMIT = 16
#: Base64url of what one message of the broker carries.
PAYLOAD_CHARACTERS = 1_400_000
GRANT_CHARACTERS = 8192

#: What is asked, as OpenAI has it below `v1/`.
SealedPath = Literal["chat/completions", "completions"]
PublicKey = Annotated[str, StringConstraints(pattern=r"^ed25519:[A-Za-z0-9_-]{43}$")]
GrantText = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$", max_length=GRANT_CHARACTERS)
]


class SealedOfferCreate(Model):
    """What a caller is going to ask, as far as the service has to know."""

    model: Annotated[str, Field(max_length=NAME_CHARACTERS)] = ""
    path: SealedPath = "chat/completions"
    #: fresh for each request; it signs the envelope
    caller_key: PublicKey
    #: of one answer
    max_tokens: Annotated[int, Field(ge=1, le=TOKENS_LIMIT)] | None = None
    #: that the request makes: prompts times the larger of n and best_of
    answers: int = Field(default=1, ge=1, le=ANSWERS_LIMIT)
    #: agents that did not begin to answer
    tried: Annotated[
        tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=TRIED_LIMIT)
    ] = ()


class SealedOffer(Answer):
    """What a caller needs to seal one request to one agent."""

    #: the pinned name of what answers
    model: str
    base_model: str
    sensitivity: Sensitivity | None = None  # of an adapter
    #: the agent's signed card, and the key that signed it
    card: dict[str, Any]
    issuer: str
    #: what the envelope is bound to
    subject: str
    reply: str
    #: travels inside the seal, and beside it to `sealed/send`
    grant: str
    #: of one answer, as the grant says
    max_tokens: int
    expires_at: Instant
    #: the service's clock, which stamps the envelope
    now: Instant


class SealedSend(Model):
    """A sealed request on its way to the agent of its offer."""

    grant: GrantText
    path: SealedPath = "chat/completions"
    #: base64url of the envelope
    payload: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=PAYLOAD_CHARACTERS)
    ]

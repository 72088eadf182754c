"""The terms of a grant: what the service tells one agent, and nobody who carries the grant.

For: a caller that seals its own request. It may carry the grant and not say what answers: which
base model and adapter, under which session the adapter is fetched, under which salt prompts are
cached. Not for: who may have the grant (`adaptery_hub`).

What always holds:
- Terms are sealed to one agent and lie inside the signed grant: a caller neither reads nor changes
  them.
- Their fields win over those of the same name in the caller's body.
- A grant with terms is good for one request, whose reply goes where the service awaits it.

The wire format is specified in `network/protocol.md`, sections 4 and 5.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptery import base64url
from adaptery.errors import IntegrityError
from adaptery.sealed.cards import AgentCard
from adaptery.sealed.documents import JsonObject, canonical, read_bytes, read_object
from adaptery.sealed.frames import ReplyKey
from adaptery.sealed.suites import SealingKey, seal

__all__ = ["Terms", "derive_cancel_key", "open_terms", "seal_terms"]

_CANCEL_KEY_BYTES = 32


class Terms(BaseModel):
    """What the service says to the agent alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: base64url; whoever has it may end the reply, which is how the service frees the agent
    cancel_key: str = Field(repr=False)
    #: fields of the request's body, whatever the caller has put there
    body: JsonObject = Field(repr=False)

    def canceller(self) -> ReplyKey:
        """Return the key of the service's cancel.

        Raises:
            IntegrityError: it is none.
        """
        return ReplyKey(read_bytes(self.cancel_key, _CANCEL_KEY_BYTES))


def derive_cancel_key(master: bytes, grant_nonce: str) -> ReplyKey:
    """Return the key with which the service ends the reply of one grant; it stores none."""
    info = f"adaptery/1|cancel|{grant_nonce}".encode()
    key = HKDF(algorithm=SHA256(), length=_CANCEL_KEY_BYTES, salt=None, info=info).derive(master)
    return ReplyKey(key)


def seal_terms(cancel_key: ReplyKey, body: JsonObject, card: AgentCard) -> str:
    """Return the terms as the text that goes into a grant for this agent.

    Raises:
        InvalidInputError: if the body holds a value that JSON cannot carry exactly.
        IntegrityError: if the card's key is not usable.
    """
    document = {"cancel_key": base64url.encode(cancel_key.raw), "body": body}
    info = _info(card.owner, card.agent)
    return base64url.encode(seal(canonical(document), card.sealing_key, info))


def open_terms(text: str, owner: str, agent: str, key: SealingKey) -> Terms:
    """Return the terms of a grant.

    Raises:
        IntegrityError: they are another agent's, or no terms.
    """
    try:
        terms = Terms.model_validate(
            read_object(key.open(base64url.decode(text), _info(owner, agent)))
        )
    except (ValidationError, ValueError):
        raise IntegrityError("The terms of a grant are not readable.") from None
    terms.canceller()
    return terms


def _info(owner: str, agent: str) -> bytes:
    return f"adaptery/1|terms|{owner}|{agent}".encode()

"""The signed agent card: who an agent is, and the keys that reach it.

For: issuing a card when an agent joins, and opening one before anything is sealed to it. Not for
deciding which agent gets the work (the fleet), nor for revocation (the fleet forgets the card, the
broker cuts the connection).

What always holds:
- Callers trust cards, never the broker: a card opens only under the issuer's key and before its
  end.
- Unknown fields are refused: a card means the same to everyone who opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from adaptery import base64url
from adaptery.errors import IntegrityError
from adaptery.sealed.documents import JsonObject, WireTime, canonical, read_bytes
from adaptery.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from adaptery.times import to_text

__all__ = ["AgentCard", "open_card", "sign_card"]

_LABEL = b"adaptery/1|card|"  # a signature over a card is never one over a grant or a manifest


class AgentCard(BaseModel):
    """What the owner of an agent vouches for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: `ag_…`
    agent: str
    #: `ow_…`, the owner of agents whose account and subjects it uses
    owner: str
    #: policy labels such as `phi` or `site:north`, given with the join token
    labels: tuple[str, ...]
    #: what it said it can do when it joined; heartbeats say what it can do now
    capabilities: dict[str, object]
    #: `ed25519:…`, signs its heartbeats
    identity_key: str
    #: `x25519:…`, requests are sealed to it
    sealing_key: str
    issued_at: WireTime
    not_after: WireTime

    def to_document(self) -> JsonObject:
        """Return the card as plain JSON, times in their wire form."""
        return {
            **self.model_dump(exclude={"issued_at", "not_after"}),
            "labels": list(self.labels),
            "issued_at": to_text(self.issued_at),
            "not_after": to_text(self.not_after),
        }


def sign_card(card: AgentCard, key: SigningKey) -> JsonObject:
    """Return `{"card": {...}, "signature": {"key", "value"}}`.

    Raises:
        InvalidInputError: if the capabilities hold a value that JSON cannot carry exactly.
    """
    document = card.to_document()
    signature = key.sign(_LABEL + canonical(document))
    return {
        "card": document,
        "signature": {"key": key.public_text, "value": base64url.encode(signature)},
    }


def open_card(signed: Mapping[str, object], issuer: VerifyKey, now: datetime) -> AgentCard:
    """Return the card, once its signature, its fields and its dates are checked.

    Raises:
        IntegrityError: if the issuer did not sign exactly this, or the card has ended.
    """
    match signed:
        case {"card": dict(document), "signature": {"value": value}} if len(signed) == 2:  # pyright: ignore[reportUnknownVariableType]
            issuer.verify(read_bytes(value, SIGNATURE_BYTES), _LABEL + canonical(document))  # pyright: ignore[reportUnknownArgumentType]
        case _:
            raise IntegrityError("This is not a signed agent card.")
    try:
        card = AgentCard.model_validate(document)
    except ValidationError:
        raise IntegrityError("The agent card has unknown or missing fields.") from None
    if now >= card.not_after:
        raise IntegrityError(f"The card of agent {card.agent} has ended.", hint="Join it again.")
    return card

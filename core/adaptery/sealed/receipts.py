"""Receipts: what a sealed reply cost, signed by the agent that made it.

For: the service, which relays such a reply without reading it and yet accounts for it. Not sealed:
a receipt holds two counts and one word. It is the last message of a reply, after its `end` frame.

What always holds:
- A receipt opens only under the identity key of the agent's card, and names one grant.
- It begins with a byte that no frame and no refusal begins with.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptery import base64url
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.sealed.documents import canonical, compact, read_bytes, read_object
from adaptery.signing import SIGNATURE_BYTES, SigningKey, VerifyKey

__all__ = ["Receipt", "is_receipt", "open_receipt", "sign_receipt"]

_FIRST_BYTE = b"\xfe"
_LABEL = b"adaptery/1|receipt|"
_LIMIT_BYTES = 1024
#: More tokens than any reply has.
_COUNT_LIMIT = 2**31 - 1

Count = Annotated[int, Field(ge=0, le=_COUNT_LIMIT, strict=True)]


class Receipt(BaseModel):
    """What one reply cost, and how it ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: the nonce of the grant
    grant: Annotated[str, Field(max_length=64)]
    prompt_tokens: Count
    completion_tokens: Count
    #: `completed`, `cancelled`, or the code of an error
    outcome: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]


def is_receipt(payload: bytes) -> bool:
    """Tell whether a message claims to be a receipt."""
    return payload[:1] == _FIRST_BYTE


def sign_receipt(receipt: Receipt, key: SigningKey) -> bytes:
    """Return the message that carries a receipt."""
    document = receipt.model_dump()
    signature = base64url.encode(key.sign(_LABEL + canonical(document)))
    return _FIRST_BYTE + compact({**document, "signature": signature})


def open_receipt(payload: bytes, identity: VerifyKey) -> Receipt:
    """Return the receipt in a message.

    Raises:
        IntegrityError: this agent did not sign it, or it is none.
    """
    if not is_receipt(payload) or len(payload) > _LIMIT_BYTES:
        raise IntegrityError("This is not a receipt.")
    document = read_object(payload[1:])
    signature = read_bytes(document.pop("signature", None), SIGNATURE_BYTES)
    try:
        identity.verify(signature, _LABEL + canonical(document))
        return Receipt.model_validate(document)
    except (ValidationError, InvalidInputError):
        raise IntegrityError("A receipt is not readable.") from None

"""Grants: a short-lived signed permission for one caller to use one thing.

For: signing a grant (the service), and opening one (the agent, which asks nobody). Not for deciding
who may have a grant (`adaptery_hub`), nor for checking that the sender is the one it names
(`openers`).

What always holds:
- A grant names the caller's fresh public key, so whoever copies it cannot use it.
- A grant has an end; an ended, altered or unknown grant is refused with the same error.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptery import base64url
from adaptery.errors import IntegrityError, RefusedError
from adaptery.sealed.documents import JsonObject, WireTime, canonical, read_bytes, read_object
from adaptery.sealed.refusals import RefusalReason
from adaptery.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from adaptery.times import to_text

__all__ = ["VERBS", "Grant", "Verb", "open_grant", "sign_grant"]

Verb: TypeAlias = Literal["infer", "embed", "train", "fetch", "put"]
VERBS: frozenset[str] = frozenset(get_args(Verb))

TOKEN_LIMIT_CHARS = 8192  # a grant is some hundred characters; more is no honest one
_NONCE_BYTES = 16
_LABEL = b"adaptery/1|grant|"


def _nonce() -> str:
    return base64url.encode(secrets.token_bytes(_NONCE_BYTES))


class Grant(BaseModel):
    """Who may do what with which thing, until when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1
    verb: Verb
    #: the id of the adapter or job, or the name of the base model
    thing: str
    #: the weights that the thing must have; an agent that finds others refuses
    weight_digest: str | None = None
    #: the tenant, an opaque id
    caller: str
    #: `ed25519:…`, the key that signs the envelope; fresh for each call
    caller_key: str
    limits: dict[str, int | float] = Field(default_factory=dict[str, int | float])
    #: the one agent that may take it; None: any that the caller can seal to
    agent: str | None = None
    #: what the service tells that agent alone (`terms`), sealed to it
    terms: str | None = None
    not_after: WireTime
    #: names the grant in the audit log
    nonce: str = Field(default_factory=_nonce)

    def to_document(self) -> JsonObject:
        """Return the grant as plain JSON, without the fields that are not set."""
        document = self.model_dump(exclude_none=True)
        return {**document, "not_after": to_text(self.not_after)}


def sign_grant(grant: Grant, key: SigningKey) -> str:
    """Return the grant as the token `<base64url JSON>.<base64url signature>`."""
    raw = canonical(grant.to_document())
    return f"{base64url.encode(raw)}.{base64url.encode(key.sign(_LABEL + raw))}"


def open_grant(token: str, issuer: VerifyKey, now: datetime) -> Grant:
    """Return the grant, once its signature, fields and end are checked.

    Raises:
        RefusedError: if the issuer did not sign it, it is unreadable, or it has ended.
    """
    try:
        grant = _read(token, issuer)
    except (IntegrityError, ValidationError, ValueError):
        raise RefusedError(reason=RefusalReason.GRANT) from None
    if now >= grant.not_after:
        raise RefusedError(reason=RefusalReason.GRANT_EXPIRED)
    return grant


def _read(token: str, issuer: VerifyKey) -> Grant:
    text, dot, signature = token.partition(".")
    if not dot or len(token) > TOKEN_LIMIT_CHARS:
        raise ValueError("not a grant token")
    raw = base64url.decode(text)
    issuer.verify(read_bytes(signature, SIGNATURE_BYTES), _LABEL + raw)
    return Grant.model_validate(read_object(raw))

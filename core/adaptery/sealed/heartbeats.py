"""Heartbeats: signed, readable, and free of content.

For: what an agent publishes on `health`. They are not sealed, because a broker may know that an
agent is alive and how busy it is; they are signed, because nobody else may say so.

What always holds:
- A heartbeat opens only under the identity key of the agent's card, and only while it is fresh.
- Heartbeats of one agent carry a growing `seq`; the reader keeps the highest and drops older ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from adaptery import base64url
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.sealed.documents import JsonObject, canonical, compact, read_bytes, read_object
from adaptery.sealed.refusals import WINDOW_SECONDS
from adaptery.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from adaptery.times import from_text

__all__ = ["HEARTBEAT_LIMIT_BYTES", "open_heartbeat", "sign_heartbeat"]

HEARTBEAT_LIMIT_BYTES = 64 * 1024  # some hundred adapters and attempts; more is a fault
_LABEL = b"adaptery/1|health|"


def sign_heartbeat(document: Mapping[str, object], key: SigningKey) -> bytes:
    """Return the payload of a heartbeat: the document (with `agent`, `seq`, `at`), signed.

    Raises:
        InvalidInputError: if it holds a value that JSON cannot carry exactly.
    """
    signature = base64url.encode(key.sign(_LABEL + canonical(document)))
    return compact({**document, "signature": signature})


def open_heartbeat(
    payload: bytes, identity: VerifyKey, now: datetime, window_seconds: float = WINDOW_SECONDS
) -> JsonObject:
    """Return the document of a heartbeat, without its signature.

    Raises:
        IntegrityError: if it is too large, not signed by this agent, or not fresh.
    """
    if len(payload) > HEARTBEAT_LIMIT_BYTES:
        raise IntegrityError("A heartbeat is too large.")
    document = read_object(payload)
    signature = read_bytes(document.pop("signature", None), SIGNATURE_BYTES)
    try:
        identity.verify(signature, _LABEL + canonical(document))
        sent_at = from_text(str(document.get("at")))
    except (ValueError, InvalidInputError):
        raise IntegrityError("A heartbeat is not readable.") from None
    if abs(now - sent_at) > timedelta(seconds=window_seconds):
        raise IntegrityError("A heartbeat is not fresh; the clocks may differ.")
    return document

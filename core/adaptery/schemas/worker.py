"""What workers of ClearML say to the service and hear from it: a ticket, and then a session.

In a session each request and each answer is a header, a JSON object, and bytes behind it.
"""

from __future__ import annotations

import struct
from typing import Annotated

from pydantic import Field

from adaptery.errors import InvalidInputError
from adaptery.schemas.common import DigestText, JsonObject, Model, parse_json
from adaptery.schemas.spec import AttemptId, JobId, ResumeSpec

__all__ = ["MESSAGE_LIMIT_BYTES", "Hold", "TicketUse", "pack", "unpack"]

#: A report of 200 events, or a piece of a file with its header.
MESSAGE_LIMIT_BYTES = 1024 * 1024
_LENGTH = struct.Struct(">I")


class TicketUse(Model):
    """A worker is about to begin the job of its ticket."""

    job: JobId
    code: Annotated[str, Field(min_length=40, max_length=64)]
    weight_digest: DigestText = Field(description="of the base model that the worker has")


class Hold(Model):
    """An attempt, leased to the worker that asks."""

    attempt: AttemptId
    fencing_token: int
    lease_seconds: float
    resume_from: ResumeSpec | None = None
    session: str = Field(description="the token of the attempt; each report renews it")


class _Header(Model):
    header: JsonObject


def pack(header: JsonObject, blob: bytes = b"") -> bytes:
    """Return one message."""
    raw = _Header(header=header).model_dump_json().encode()
    return _LENGTH.pack(len(raw)) + raw + blob


def unpack(message: bytes) -> tuple[JsonObject, bytes]:
    """Return header and bytes of one message.

    Raises:
        InvalidInputError: it is none.
    """
    if len(message) < _LENGTH.size:
        raise InvalidInputError("The message is too short.")
    (length,) = _LENGTH.unpack_from(message)
    raw, blob = message[_LENGTH.size :][:length], message[_LENGTH.size + length :]
    if len(raw) != length:
        raise InvalidInputError("The message ends within its header.")
    return parse_json(_Header, raw).header, blob

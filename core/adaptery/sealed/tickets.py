"""Tickets: what a job carries through a system that is not ours, such as ClearML's queues.

For: signing a ticket (the service), and opening one (a worker that was given the service's public
key by its operator). Not for letting a worker in: whoever holds a ticket only may read it.

What always holds:
- A worker trains what the service signed, and nothing else.
- A ticket names no address, no file and no Python object; its code is of use once, to whoever also
  holds the key of workers.
- An altered, unknown or overlong ticket is refused with the same error.
"""

from __future__ import annotations

import secrets
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptery import base64url
from adaptery.errors import AdapteryError, RefusedError
from adaptery.schemas.spec import JobId, JobSpec, ResumeSpec
from adaptery.sealed.documents import JsonObject, canonical, read_bytes, read_object
from adaptery.sealed.refusals import RefusalReason
from adaptery.signing import SIGNATURE_BYTES, SigningKey, VerifyKey

__all__ = ["TICKET_LIMIT_CHARS", "Ticket", "open_ticket", "sign_ticket"]

TICKET_LIMIT_CHARS = 256 * 1024  # a spec is some thousand characters
_CODE_BYTES = 32
_LABEL = b"adaptery/1|ticket|"


def _code() -> str:
    return base64url.encode(secrets.token_bytes(_CODE_BYTES))


class Ticket(BaseModel):
    """One job for one worker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1
    job: JobId
    #: Shown once to the service, which then leases the job.
    code: str = Field(default_factory=_code, min_length=40, max_length=64)
    #: The frozen spec with its base model; what belongs to an attempt comes with the lease.
    spec: JsonObject

    def spec_of(self, attempt: str, fencing_token: int, resume_from: ResumeSpec | None) -> JobSpec:
        """Return the spec of one attempt.

        Raises:
            RefusedError: the ticket holds none.
        """
        whole = {
            **self.spec,
            "job": self.job,
            "attempt": attempt,
            "fencing_token": fencing_token,
            "resume_from": resume_from and resume_from.model_dump(),
        }
        try:
            return JobSpec.model_validate(whole)
        except ValidationError:
            raise RefusedError(reason=RefusalReason.GRANT) from None


def sign_ticket(ticket: Ticket, key: SigningKey) -> str:
    """Return the ticket as `<base64url JSON>.<base64url signature>`."""
    raw = canonical(ticket.model_dump(mode="json"))
    return f"{base64url.encode(raw)}.{base64url.encode(key.sign(_LABEL + raw))}"


def open_ticket(text: str, issuer: VerifyKey) -> Ticket:
    """Return the ticket, once its signature and fields are checked.

    Raises:
        RefusedError: the issuer did not sign it, or it is unreadable.
    """
    try:
        body, dot, signature = text.partition(".")
        if not dot or len(text) > TICKET_LIMIT_CHARS:
            raise ValueError("not a ticket")
        raw = base64url.decode(body)
        issuer.verify(read_bytes(signature, SIGNATURE_BYTES), _LABEL + raw)
        return Ticket.model_validate(read_object(raw))
    except (AdapteryError, ValidationError, ValueError):
        raise RefusedError(reason=RefusalReason.GRANT) from None

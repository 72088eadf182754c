"""The errors of Adaptery: one tree, ordered by what the reader can do about it.

Everything that a user, a client or another machine is told goes through this tree. An exception
that is not an `AdapteryError` is our bug: it is logged, and the caller sees `InternalError` with a
request id.

To add an error: subclass the nearest class, write its docstring (the first line is the default
message), give it a `code` that no other class has, and document the code in `docs/reference`.

What always holds:
- `code` is unique in the tree and never changes; clients map it back to the same class.
- A message says what is wrong, where, and how to mend it. It never holds a prompt, an output or a
  record.
- An error that travelled over the wire (`to_problem`, then `from_problem`) has the same class and
  fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

__all__ = [
    "ERRORS_BY_CODE",
    "AdapteryError",
    "ConflictError",
    "ContextLengthError",
    "DeadlineError",
    "DigestMismatchError",
    "EngineBusyError",
    "FieldProblem",
    "InsufficientQuotaError",
    "IntegrityError",
    "InternalError",
    "InvalidInputError",
    "JobStateError",
    "LeaseLostError",
    "MethodNotAllowedError",
    "MissingExtraError",
    "NoAgentError",
    "NotAllowedError",
    "NotAuthenticatedError",
    "NotFoundError",
    "NotOfferedError",
    "QuotaError",
    "RateLimitError",
    "RecordChangedError",
    "RecordError",
    "RefusedError",
    "SealedChannelRequiredError",
    "SlowReaderError",
    "SpecError",
    "StorageQuotaError",
    "TooLargeError",
    "UnavailableError",
    "VersionExistsError",
    "from_openai",
    "from_problem",
]


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with an input: where, why, and what mends it. Never the value itself."""

    where: str
    reason: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the entry of a problem's `errors` list."""
        return {"where": self.where, "reason": self.reason, "remedy": self.remedy}


class AdapteryError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "adaptery_error"
    status: ClassVar[int] = 500
    #: The `type` in OpenAI's shape, where it is not that of the status.
    openai_type: ClassVar[str | None] = None
    message: str
    hint: str | None
    errors: tuple[FieldProblem, ...]
    retry_after_seconds: float | None
    request_id: str | None

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        errors: Sequence[FieldProblem] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        self.message = message or self.title()
        self.hint = hint
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        self.request_id = None  # set by the client from the answer, to quote it to an operator
        super().__init__(self.message)

    def __str__(self) -> str:
        lines = [f"{self.message} ({self.hint})" if self.hint else self.message]
        lines += [
            f"  {problem.where}: {problem.reason.rstrip('.')}"
            + (f"; {problem.remedy}" if problem.remedy else "")
            for problem in self.errors
        ]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only fields would be lost by the default pickling of exceptions.
        return (_rebuild, (type(self), dict(self.__dict__)))

    @classmethod
    def title(cls) -> str:
        """Return the first line of the class docstring, the message where none is given."""
        return (inspect.getdoc(cls) or cls.code).splitlines()[0]

    def to_problem(self, request_id: str | None) -> dict[str, object]:
        """Return the error as RFC 9457 problem JSON.

        `retry_after_seconds` is repeated in the body because frames and sessions have no headers.
        """
        problem: dict[str, object] = {
            "type": "about:blank",
            "title": self.title(),
            "status": self.status,
            "code": self.code,
            "detail": self.message,
        }
        if self.hint:
            problem["hint"] = self.hint
        if self.errors:
            problem["errors"] = [entry.to_dict() for entry in self.errors]
        if self.retry_after_seconds is not None:
            problem["retry_after_seconds"] = self.retry_after_seconds
        problem["request_id"] = request_id or ""
        return problem

    def to_openai(self) -> dict[str, object]:
        """Return the error in the shape of OpenAI's API, with the same `code`."""
        return {
            "error": {
                "message": str(self),
                "type": self.openai_type or _openai_type(self.status),
                "param": self.errors[0].where if self.errors else None,
                "code": self.code,
            }
        }


class InvalidInputError(AdapteryError):
    """The request is not valid."""

    code = "invalid_input"
    status = 422


class RecordError(InvalidInputError):
    """A record is not valid."""

    code = "record_invalid"


class SpecError(InvalidInputError):
    """The job specification is not valid."""

    code = "spec_invalid"


class ContextLengthError(InvalidInputError):
    """Prompt and answer together are longer than the context of the model."""

    code = "context_length_exceeded"  # the code that OpenAI's clients look for


class NotOfferedError(InvalidInputError):
    """This is not offered here."""

    code = "not_offered"


class NotAuthenticatedError(AdapteryError):
    """No valid token came with the request."""

    code = "not_authenticated"
    status = 401


class NotAllowedError(AdapteryError):
    """This needs a right or scope that the caller does not have."""

    code = "not_allowed"
    status = 403


class SealedChannelRequiredError(NotAllowedError):
    """This adapter is restricted: it answers only over the sealed channel."""

    code = "sealed_channel_required"


class RefusedError(NotAllowedError):
    """The agent refused the message.

    Every refusal looks the same to the sender, so that nothing can be learnt by probing. `reason`
    stays on the refusing side, where it is counted for the operator; it never goes over the wire.
    """

    code = "refused"
    reason: str

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str = "unknown",
        hint: str | None = None,
        errors: Sequence[FieldProblem] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, errors=errors, retry_after_seconds=retry_after_seconds)
        self.reason = reason


class NotFoundError(AdapteryError):
    """There is no such thing, or it is not yours to see."""

    code = "not_found"
    status = 404


class MethodNotAllowedError(AdapteryError):
    """This address does not take that HTTP method."""

    code = "method_not_allowed"
    status = 405


class ConflictError(AdapteryError):
    """This conflicts with the present state."""

    code = "conflict"
    status = 409


class JobStateError(ConflictError):
    """The job is not in a state that allows this."""

    code = "job_state"


class VersionExistsError(ConflictError):
    """A version with this content exists already."""

    code = "version_exists"


class RecordChangedError(ConflictError):
    """The record is not what it was when you looked at it."""

    code = "record_changed"


class LeaseLostError(ConflictError):
    """The lease of this attempt has ended; another attempt may be running."""

    code = "lease_lost"


class TooLargeError(AdapteryError):
    """This is larger than the limit."""

    code = "too_large"
    status = 413


class QuotaError(AdapteryError):
    """A limit on use is reached."""

    code = "quota_exceeded"
    status = 429


class RateLimitError(QuotaError):
    """Too many requests in too short a time."""

    code = "rate_limit_exceeded"  # as OpenAI has it


class InsufficientQuotaError(QuotaError):
    """What may be used in this time is used up."""

    code = "insufficient_quota"  # as OpenAI has it, where it is the type as well
    openai_type = "insufficient_quota"


class StorageQuotaError(QuotaError):
    """There is no room for this in the storage of its owner."""

    code = "storage_quota_exceeded"
    status = 413  # not 429: time alone does not help, and clients would try again


class UnavailableError(AdapteryError):
    """This part of the service cannot be reached at the moment."""

    code = "unavailable"
    status = 503


class NoAgentError(UnavailableError):
    """No agent that could do this is connected."""

    code = "no_agent"


class EngineBusyError(UnavailableError):
    """The inference engine has no room for another request at the moment."""

    code = "engine_busy"


class DeadlineError(AdapteryError):
    """The answer did not come in time."""

    code = "timeout"
    status = 504


class SlowReaderError(AdapteryError):
    """The answer was not read as it came, so it was ended."""

    code = "slow_reader"
    status = 408


class IntegrityError(AdapteryError):
    """A digest or a signature does not match."""

    code = "integrity"
    status = 502


class DigestMismatchError(IntegrityError):
    """What was uploaded does not match the digest that was announced."""

    code = "digest_mismatch"
    status = 422


class MissingExtraError(AdapteryError):
    """A part of Adaptery that this needs is not installed."""

    code = "missing_extra"
    status = 501

    @classmethod
    def for_extra(cls, extra: str, purpose: str) -> MissingExtraError:
        """Return the error that names the extra and the command that installs it."""
        return cls(f"{purpose} needs adaptery[{extra}].", hint=f"pip install 'adaptery[{extra}]'")


class InternalError(AdapteryError):
    """An unexpected error happened here; the operator finds the details by the request id."""

    code = "internal"


def _rebuild(cls: type[AdapteryError], state: dict[str, object]) -> AdapteryError:
    error = cls()
    error.__dict__.update(state)
    error.args = (error.message,)
    return error


def _tree(cls: type[AdapteryError]) -> Iterator[type[AdapteryError]]:
    yield cls
    for subclass in cls.__subclasses__():
        yield from _tree(subclass)


#: Every error class by its `code`.
ERRORS_BY_CODE: Mapping[str, type[AdapteryError]] = {cls.code: cls for cls in _tree(AdapteryError)}

_BY_STATUS: Mapping[int, type[AdapteryError]] = {
    400: InvalidInputError,
    401: NotAuthenticatedError,
    403: NotAllowedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: ConflictError,
    413: TooLargeError,
    422: InvalidInputError,
    429: QuotaError,
    500: InternalError,
    502: UnavailableError,
    503: UnavailableError,
    504: DeadlineError,
}

_OPENAI_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


def _openai_type(status: int) -> str:
    # Source: OpenAI API reference, "Error codes". Clients branch on the status, people read this.
    return _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def _class_for(code: object, status: object) -> type[AdapteryError]:
    if isinstance(code, str) and code in ERRORS_BY_CODE:
        return ERRORS_BY_CODE[code]
    if isinstance(status, int):
        return _BY_STATUS.get(status, InternalError if status >= 500 else InvalidInputError)
    return AdapteryError


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _field_problems(value: object) -> tuple[FieldProblem, ...]:
    if not isinstance(value, list):
        return ()
    entries = [
        cast("dict[str, object]", e) for e in cast("list[object]", value) if isinstance(e, dict)
    ]
    return tuple(
        FieldProblem(
            where=_text(entry.get("where")) or "",
            reason=_text(entry.get("reason")) or "",
            remedy=_text(entry.get("remedy")) or "",
        )
        for entry in entries
    )


def from_problem(problem: Mapping[str, object]) -> AdapteryError:
    """Return the error that a problem JSON describes, as the class that was raised.

    An unknown `code` (a newer service) becomes the class that fits its `status`.
    """
    cls = _class_for(problem.get("code"), problem.get("status"))
    retry_after = problem.get("retry_after_seconds")
    error = cls(
        _text(problem.get("detail")) or _text(problem.get("title")),
        hint=_text(problem.get("hint")),
        errors=_field_problems(problem.get("errors")),
        retry_after_seconds=float(retry_after) if isinstance(retry_after, int | float) else None,
    )
    error.request_id = _text(problem.get("request_id"))
    return error


def from_openai(body: Mapping[str, object], status: int | None = None) -> AdapteryError:
    """Return the error that an answer in OpenAI's shape describes."""
    inner = body.get("error")
    fields = cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
    return _class_for(fields.get("code"), status)(_text(fields.get("message")))

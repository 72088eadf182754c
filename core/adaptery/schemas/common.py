"""What all schemas share: strict requests, lenient answers, pages, problems and parsing.

Requests and specs are untrusted and refuse unknown fields. Answers are read by clients that may be
a minor version older than the service, so those ignore fields they do not know.

What always holds: a validation error that leaves here names fields and rules, never the value
given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
)

from adaptery.errors import AdapteryError, FieldProblem, InvalidInputError
from adaptery.times import to_text

__all__ = [
    "SENSITIVITIES",
    "WITHOUT_NUL",
    "Answer",
    "ClientKey",
    "DigestText",
    "Instant",
    "Model",
    "Page",
    "Problem",
    "ProblemEntry",
    "Sensitivity",
    "field_problems",
    "parse",
    "parse_json",
]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

#: Entries in one error answer; a thousand problems help nobody.
PROBLEMS_LIMIT = 20
#: More faults than this are counted and not told: to spell a hundred thousand takes a second.
FAULTS_LIMIT = 1_000
#: Characters of a field name that are repeated in an error.
FIELD_NAME_LIMIT = 64


class Model(BaseModel):
    """Base of everything that crosses a trust boundary towards us: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Answer(BaseModel):
    """Base of what the service answers: an older client ignores fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment is beyond the calendar") from None


#: Of texts that go to a database: some end a text at NUL, or refuse it.
WITHOUT_NUL = r"^[^\x00]*$"

#: An aware moment in UTC; RFC 3339 with milliseconds in JSON.
Instant = Annotated[
    AwareDatetime,
    AfterValidator(_utc),
    PlainSerializer(to_text, return_type=str, when_used="json"),
]

DigestText = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

#: Made by a client, so that what it asks for again with it is done once.
ClientKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

#: From the least careful to the most; what is made from several things has the most of them.
SENSITIVITIES = ("open", "internal", "restricted")

#: How carefully a thing must be handled; restricted adapters answer only over the sealed channel.
Sensitivity = Annotated[str, StringConstraints(pattern=r"^(open|internal|restricted)$")]


class Page(Answer, Generic[T]):
    """One page of a list; the next one starts `after` the id of the last item."""

    items: tuple[T, ...]
    has_more: bool


class ProblemEntry(Answer):
    """One field that is wrong."""

    where: str
    reason: str
    remedy: str = ""


class Problem(Answer):
    """An error as RFC 9457 problem JSON; see `adaptery.errors`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None
    errors: tuple[ProblemEntry, ...] | None = None
    retry_after_seconds: float | None = None
    request_id: str = ""


#: Messages of our own for the two rules that are broken most; the others are pydantic's, which hold
#: no input.
_REASONS: Mapping[str, str] = {
    "missing": "is required.",
    "extra_forbidden": "is not a known field.",
    "json_invalid": "is not valid JSON.",
}
_REMEDIES: Mapping[str, str] = {
    "missing": "Add it.",
    "extra_forbidden": "Remove it, or check its spelling.",
    "json_invalid": "Check quotes, commas and the end of the text.",
}


def _where(location: Sequence[int | str]) -> str:
    parts = [str(part)[:FIELD_NAME_LIMIT] for part in location]
    return ".".join(parts) or "body"


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".") + "."


def field_problems(error: ValidationError) -> list[FieldProblem]:
    """Return what is wrong, by field, without any value that was given."""
    if (count := error.error_count()) > FAULTS_LIMIT:
        return [FieldProblem("body", f"has {count} faults.", "Correct its fields.")]
    entries = error.errors(include_url=False, include_context=False, include_input=False)
    within = {entry["loc"][:end] for entry in entries for end in range(len(entry["loc"]))}
    return [
        FieldProblem(
            where=_where(entry["loc"]),
            reason=_REASONS.get(entry["type"], _reason(entry["msg"])),
            remedy=_REMEDIES.get(entry["type"], "Correct this field."),
        )
        # A list whose only entry is wrong counts as empty too: that is no fault of its own.
        for entry in [e for e in entries if e["type"] != "too_short" or e["loc"] not in within][
            :PROBLEMS_LIMIT
        ]
    ]


def parse(schema: type[M], data: object, error: type[AdapteryError] = InvalidInputError) -> M:
    """Return the data as a checked model.

    Args:
        schema: the model class.
        data: parsed JSON.
        error: the class of error to raise, such as `SpecError`.

    Raises:
        InvalidInputError: (or the given subclass) with one entry per field.
    """
    try:
        return schema.model_validate(data)
    except ValidationError as exc:
        raise error(errors=field_problems(exc)) from None


def parse_json(
    schema: type[M], data: bytes | str, error: type[AdapteryError] = InvalidInputError
) -> M:
    """Return JSON text as a checked model; an empty text counts as `{}`.

    Raises:
        InvalidInputError: (or the given subclass) with one entry per field.
    """
    try:
        return schema.model_validate_json(data or b"{}")
    except ValidationError as exc:
        raise error(errors=field_problems(exc)) from None


#: A JSON object whose fields are decided elsewhere (a record, a summary, a JSON Schema).
JsonObject = Annotated[dict[str, Any], Field(description="a JSON object")]

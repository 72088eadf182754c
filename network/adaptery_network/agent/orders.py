"""What the service may order on ``control``: start an attempt, cancel one.

The orders arrive opened and with a checked grant (`adaptery_network` sees to that). Not here:
carrying them out (`slots`). Invariants:
- an order is refused unless its grant is for exactly the job that it names;
- a field that we do not know refuses the order: it may be a limit we would otherwise ignore;
- asking twice is harmless: an attempt that runs already is accepted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from adaptery import base64url
from adaptery.errors import RefusedError, SpecError
from adaptery.schemas.common import Model, field_problems
from adaptery.schemas.spec import JobSpec
from adaptery.sealed import Grant

SESSION_KEY_BYTES = 32


class SessionKey(Model):
    """The session that an order or request hands over."""

    id: str
    key: str = Field(repr=False)

    def secret(self) -> bytes:
        """Return the key.

        Raises:
            SpecError: it is not base64url of 32 bytes.
        """
        try:
            raw = base64url.decode(self.key)
        except ValueError:
            raw = b""
        if len(raw) != SESSION_KEY_BYTES:
            raise SpecError("A session key is base64url of 32 bytes.")
        return raw


class StartOrder(Model):
    """Start an attempt; the lease counts from now."""

    op: Literal["start"]
    spec: JobSpec
    session: SessionKey
    lease_until: AwareDatetime
    lease_seconds: float = Field(gt=0, le=24 * 3600)


class CancelOrder(Model):
    """End an attempt because its owner wants it to end."""

    op: Literal["cancel"]
    attempt: str


_ORDER: TypeAdapter[StartOrder | CancelOrder] = TypeAdapter(
    Annotated[StartOrder | CancelOrder, Field(discriminator="op")]
)


def read_order(body: Mapping[str, object], grant: Grant) -> StartOrder | CancelOrder:
    """Return the order in a request's body.

    Raises:
        SpecError: a field is unknown, missing or out of range.
        RefusedError: the grant is for another job.
    """
    try:
        order = _ORDER.validate_python(dict(body))
    except ValidationError as error:
        raise SpecError(errors=field_problems(error)) from None
    if isinstance(order, StartOrder):
        order.session.secret()
        if order.spec.job != grant.thing or order.session.id != order.spec.attempt:
            raise RefusedError(reason="thing")
    return order

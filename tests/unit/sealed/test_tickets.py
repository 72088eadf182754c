"""Tickets: what the service did not sign is no job."""

from __future__ import annotations

import pytest

from adaptery import base64url
from adaptery.errors import RefusedError
from adaptery.schemas.spec import ResumeSpec
from adaptery.sealed import Ticket, open_ticket, sign_ticket
from adaptery.sealed.tickets import TICKET_LIMIT_CHARS
from adaptery.signing import SigningKey
from support.agent_side.specs import make_spec

KEY, OTHER = SigningKey.from_seed(b"k" * 32), SigningKey.from_seed(b"o" * 32)
SPEC = make_spec()


def ticket(**spec: object) -> Ticket:
    frozen = SPEC.model_dump(mode="json", exclude_none=True)
    for name in ("job", "attempt", "fencing_token"):
        del frozen[name]
    return Ticket(job=SPEC.job, spec={**frozen, **spec})


def test_a_ticket_gives_the_spec_of_an_attempt() -> None:
    opened = open_ticket(sign_ticket(ticket(), KEY), KEY.verify_key)
    assert opened.spec_of(SPEC.attempt, SPEC.fencing_token, None) == SPEC
    resume = ResumeSpec(step=3, digest="sha256:" + "a" * 64)
    assert opened.spec_of(SPEC.attempt, 2, resume).resume_from == resume
    assert ticket().code != ticket().code


def test_no_other_ticket_is_opened() -> None:
    good = sign_ticket(ticket(), KEY)
    body, _, signature = good.partition(".")
    changed = base64url.decode(body).replace(b'"stage":"sft"', b'"stage":"dpo"')
    for bad in (
        "",
        ".",
        body,
        f"{body}.",
        f"{body}.{signature[:-2]}",
        f"{base64url.encode(changed)}.{signature}",
        sign_ticket(ticket(), OTHER),
        good + "x" * TICKET_LIMIT_CHARS,
    ):
        with pytest.raises(RefusedError):
            open_ticket(bad, KEY.verify_key)


def test_what_is_signed_is_still_no_spec_if_it_is_none() -> None:
    opened = open_ticket(sign_ticket(ticket(base_model="/etc/passwd"), KEY), KEY.verify_key)
    with pytest.raises(RefusedError):
        opened.spec_of(SPEC.attempt, 1, None)

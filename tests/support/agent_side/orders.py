"""Orders as the service makes them."""

from datetime import timedelta

from adaptery import base64url
from adaptery.schemas.spec import JobSpec
from adaptery.sealed import Grant
from adaptery.times import now, to_text

SESSION_KEY = base64url.encode(bytes(range(32)))


def start_body(spec: JobSpec, lease_seconds: float = 60, key: str = SESSION_KEY) -> dict:
    return {
        "op": "start",
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "session": {"id": spec.attempt, "key": key},
        "lease_until": to_text(now() + timedelta(seconds=lease_seconds)),
        "lease_seconds": lease_seconds,
    }


def make_grant(thing: str, verb="train", weight_digest: str | None = None, **limits) -> Grant:
    return Grant(
        verb=verb,
        thing=thing,
        weight_digest=weight_digest,
        caller="tn_00000000000000000000000000",
        caller_key="ed25519:" + "A" * 43,
        limits=limits,
        not_after=now() + timedelta(seconds=60),
    )


async def order(slots, spec: JobSpec, **options) -> dict:
    """Give an order and return the one answer."""
    return await _answer(slots, spec, start_body(spec, **options))


async def cancel(slots, spec: JobSpec) -> dict:
    return await _answer(slots, spec, {"op": "cancel", "attempt": spec.attempt})


async def _answer(slots, spec: JobSpec, body: dict) -> dict:
    answers = [answer async for _, answer in slots.handle(make_grant(spec.job), body)]
    assert len(answers) == 1
    return answers[0]

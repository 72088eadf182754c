"""The people of these tests: a service, one agent, and a caller, with fixed keys."""

from datetime import UTC, datetime, timedelta

from adaptery.sealed import (
    AgentCard,
    AgentIdentity,
    Grant,
    RequestOpener,
    SealingKey,
    sign_grant,
)
from adaptery.signing import SigningKey

START = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
OWNER = "ow_01j00000000000000000000001"
AGENT = "ag_01j00000000000000000000002"
SUBJECT = f"ad.{OWNER}.infer.{AGENT}"
REPLY = "_INBOX_service.AAAAAAAAAAAAAAAAAAAAAA"

SERVICE = SigningKey.from_seed(b"\x01" * 32)
STRANGER = SigningKey.from_seed(b"\x02" * 32)
CALLER = SigningKey.from_seed(b"\x03" * 32)
IDENTITY = SigningKey.from_seed(b"\x04" * 32)
SEALING = SealingKey.from_bytes(b"\x05" * 32)


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def card(**changes: object) -> AgentCard:
    fields: dict[str, object] = {
        "agent": AGENT,
        "owner": OWNER,
        "labels": ("phi", "site:north"),
        "capabilities": {"kinds": ["infer", "train"]},
        "identity_key": IDENTITY.public_text,
        "sealing_key": SEALING.public_text,
        "issued_at": START,
        "not_after": START + timedelta(days=1),
    }
    return AgentCard.model_validate(fields | changes)


def grant(**changes: object) -> Grant:
    fields: dict[str, object] = {
        "verb": "infer",
        "thing": "ad_01j00000000000000000000003",
        "weight_digest": "sha256:" + "0" * 64,
        "caller": "tn_01j00000000000000000000004",
        "caller_key": CALLER.public_text,
        "limits": {"max_tokens": 256},
        "not_after": START + timedelta(seconds=60),
        "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
    }
    return Grant.model_validate(fields | changes)


def token(**changes: object) -> str:
    return sign_grant(grant(**changes), SERVICE)


def opener(clock: Clock) -> RequestOpener:
    identity = AgentIdentity(OWNER, AGENT, SEALING)
    return RequestOpener(identity, SERVICE.verify_key, clock, started_at=START)

"""Own keys: what is asked for, what is shown of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from adaptery.schemas.common import Answer, Instant, Model

__all__ = ["Key", "KeyAdapter", "KeyCreate", "KeyRotate", "KeyVerb", "NewKey"]

ADAPTERS_LIMIT = 50  # of one key
NAME_CHARACTERS = 80
TOKENS_PER_DAY_LIMIT = 1_000_000_000
REQUESTS_PER_MINUTE_LIMIT = 100_000
OVERLAP_MINUTES_LIMIT = 24 * 60
#: No control characters: a name is shown in terminals and logs of others.
KeyName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=NAME_CHARACTERS,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+$",
    ),
]

#: `infer` asks its adapters; `read` only lists them; `embed` asks embedding models, which are
#: everyone's.
KeyVerb = Literal["infer", "read", "embed"]


class KeyCreate(Model):
    """What its owner decides about a key, for good."""

    name: KeyName
    #: Names (without a version: the newest now) or ids; the key is for exactly these versions.
    adapters: tuple[Annotated[str, Field(min_length=1, max_length=400)], ...] = Field(
        min_length=1, max_length=ADAPTERS_LIMIT
    )
    verbs: tuple[KeyVerb, ...] = Field(default=("infer", "read"), min_length=1, max_length=3)
    #: The administrator's limit if absent.
    expires_in_days: int | None = Field(default=None, ge=1, le=36_500)
    tokens_per_day: int | None = Field(default=None, ge=1, le=TOKENS_PER_DAY_LIMIT)
    requests_per_minute: int | None = Field(default=None, ge=1, le=REQUESTS_PER_MINUTE_LIMIT)


class KeyRotate(Model):
    """How long the old secret works beside the new one; 0: not at all."""

    overlap_minutes: int = Field(default=0, ge=0, le=OVERLAP_MINUTES_LIMIT)


class KeyAdapter(Answer):
    """An adapter of a key; without a name once the reader may no longer use it."""

    id: str
    name: str | None


class Key(Answer):
    """An own key; its secret is nowhere."""

    id: str
    name: str
    owner: str
    #: How the secret begins.
    prefix: str
    adapters: tuple[KeyAdapter, ...]
    verbs: tuple[str, ...]
    tokens_per_day: int | None
    #: What its requests that ended since midnight UTC cost, prompt and answer together.
    tokens_today: int = 0
    requests_per_minute: int | None
    expires_at: Instant
    #: Until when the secret before the last rotation works.
    overlap_until: Instant | None
    last_used_at: Instant | None
    created_at: Instant
    revoked_at: Instant | None


class NewKey(Key):
    """A key with its secret, which is shown once, here."""

    #: Left out of `repr` and `str`, so that no notebook output and no log holds it by accident.
    secret: str = Field(repr=False)

"""How much an own key may do: requests per minute and tokens per day.

Requests are counted in this process, as a bucket that fills evenly: several replicas each let a key
have its requests per minute. Tokens are counted in the database, in the usage of ended requests and
in what running ones have reserved, so all replicas agree; what this process has not yet written of
ended ones is added (`pending_tokens`).

Invariants:
- A request reserves the tokens that it may make before it begins, in the transaction that counts;
  its `max_tokens` is cut to what is left. So the tokens *made* in a day are never more than the
  limit, however many requests run; prompts are known only afterwards, and may exceed it once.
- What is reserved is given back when the request ends, however it ends. After a crash of the
  service it is given back within `RESERVED_SECONDS`.
- Days are days in UTC.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from adaptery.errors import InsufficientQuotaError, QuotaError, RateLimitError
from adaptery.times import Clock, now
from adaptery_hub.database import Database
from adaptery_hub.database.statements import keys as statements
from adaptery_hub.identity import KeyHold

#: No answer takes longer than this; a reservation that is older is what a crash left.
RESERVED_SECONDS = 3600.0
#: After this long, some of the requests that run now have probably ended.
RUNNING_RETRY_SECONDS = 5.0
#: Buckets kept; the fullest ones are forgotten first, which forgets nothing.
BUCKETS_LIMIT = 10_000

Headers = Mapping[str, str]


class Bucket:
    """Requests of one key: as many as fit at once, one more every `60 / per_minute` seconds."""

    def __init__(self, per_minute: int, at: float) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._at = at

    def left(self, at: float) -> float:
        """Return how many requests fit now."""
        return min(self.per_minute, self._left + max(0.0, at - self._at) * self.per_minute / 60)

    def take(self, at: float) -> float:
        """Take one request; return 0, or the seconds until one fits."""
        left = self.left(at)
        taken = left >= 1
        self._left, self._at = left - taken, max(at, self._at)
        return 0.0 if taken else (1 - left) * 60 / self.per_minute

    def seconds_to_full(self, at: float) -> float:
        """Return after how long as many requests fit as ever."""
        return (self.per_minute - self.left(at)) * 60 / self.per_minute


@dataclass(frozen=True)
class Allowance:
    """What a request may make, and what to tell of it."""

    max_tokens: int | None  # of each answer; None: no limit of the key
    headers: Headers
    refusal: QuotaError | None = None


class KeyLimits:
    """The limits of all keys."""

    def __init__(
        self,
        database: Database,
        clock: Clock = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._buckets: dict[str, Bucket] = {}
        #: Tells the tokens of a key that the database does not count yet; see `UsageLog`.
        self.pending_tokens: Callable[[str], int] = lambda key_id: 0

    def take_request(self, key: KeyHold) -> tuple[Headers, float]:
        """Count a request; return the headers that tell of it, and 0 or the seconds to wait."""
        per_minute = key.requests_per_minute
        if per_minute is None:
            return {}, 0.0
        at = self._monotonic()
        bucket = self._bucket(key.id, per_minute, at)
        wait = bucket.take(at)
        return request_headers(bucket, at), wait

    @asynccontextmanager
    async def reserved(
        self,
        key: KeyHold,
        request_id: str,
        wanted: int,
        prompts: int,
        tell: Callable[[Headers], None],
    ) -> AsyncGenerator[int | None, None]:
        """Reserve what a request may make of today's tokens, until it ends; gives `max_tokens`.

        Args:
            key: whose tokens.
            request_id: of the request.
            wanted: the most tokens of one answer.
            prompts: how many answers the request has.
            tell: takes the headers that tell of it, also if the request is refused.

        Raises:
            InsufficientQuotaError: today's tokens are spent.
            RateLimitError: what is left of them is reserved by requests that run.
        """
        if key.tokens_per_day is None:
            yield None
            return
        refused = False
        try:
            allowance = await self._database.write(
                lambda c: self._reserve(c, key, request_id, wanted, prompts)
            )
            tell(allowance.headers)
            if allowance.refusal is not None:
                refused = True
                raise allowance.refusal
            yield allowance.max_tokens
        finally:
            # Shielded: a caller that leaves cancels us, perhaps while the row is being written, and
            # what is reserved is given back anyway.
            if not refused:
                await asyncio.shield(self._release(request_id))

    async def _release(self, request_id: str) -> None:
        before = self._clock() - timedelta(seconds=RESERVED_SECONDS)
        await self._database.write(lambda c: statements.release(c, request_id, before))

    def _reserve(
        self, connection: Connection, key: KeyHold, request_id: str, wanted: int, prompts: int
    ) -> Allowance:
        limit, moment = key.tokens_per_day, self._clock()
        assert limit is not None
        statements.lock(connection, key.id)
        spent = statements.spent_since(connection, key.id, midnight(moment))
        spent += self.pending_tokens(key.id)
        running_since = moment - timedelta(seconds=RESERVED_SECONDS)
        left = limit - spent - statements.reserved_since(connection, key.id, running_since)
        if left < prompts:
            headers = token_headers(limit, left, moment)
            if limit - spent >= prompts:
                return Allowance(None, headers, _running())
            # OpenAI's clients would otherwise try again twice before they say so.
            return Allowance(None, {**headers, "x-should-retry": "false"}, _spent(limit, moment))
        each = min(wanted, left // prompts)
        statements.reserve(connection, request_id, key.id, each * prompts, moment)
        return Allowance(each, token_headers(limit, left - each * prompts, moment))

    def _bucket(self, key_id: str, per_minute: int, at: float) -> Bucket:
        bucket = self._buckets.get(key_id)
        if bucket is None or bucket.per_minute != per_minute:
            if len(self._buckets) >= BUCKETS_LIMIT:
                self._forget(at)
            bucket = self._buckets[key_id] = Bucket(per_minute, at)
        return bucket

    def _forget(self, at: float) -> None:
        kept = [(b.seconds_to_full(at), k) for k, b in self._buckets.items()]
        for _, key_id in sorted(kept)[: BUCKETS_LIMIT // 2]:
            del self._buckets[key_id]


def request_headers(bucket: Bucket, at: float) -> Headers:
    """Return OpenAI's headers about requests."""
    return {
        "x-ratelimit-limit-requests": str(bucket.per_minute),
        "x-ratelimit-remaining-requests": str(int(bucket.left(at))),
        "x-ratelimit-reset-requests": spell_seconds(bucket.seconds_to_full(at)),
    }


def token_headers(limit: int, left: int, moment: datetime) -> Headers:
    """Return OpenAI's headers about tokens; ours reset at midnight."""
    return {
        "x-ratelimit-limit-tokens": str(limit),
        "x-ratelimit-remaining-tokens": str(max(0, left)),
        "x-ratelimit-reset-tokens": spell_seconds(seconds_to_midnight(moment)),
    }


def seconds_to_midnight(moment: datetime) -> float:
    """Return the seconds until the next day in UTC begins."""
    return (midnight(moment) + timedelta(days=1) - moment).total_seconds()


def spell_seconds(seconds: float) -> str:
    """Return a duration as OpenAI spells it: `120ms`, `1s`, `6m0s`, `1h2m3s`.

    Source: OpenAI API guide, "Rate limits", section "Rate limits in headers".
    """
    if 0 < seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h' if hours else ''}{f'{minutes}m' if hours or minutes else ''}{rest}s"


def _spent(limit: int, moment: datetime) -> QuotaError:
    return InsufficientQuotaError(
        f"This key has spent its {limit} tokens of today.",
        hint="Wait until midnight UTC, or ask its owner for a key with more.",
        retry_after_seconds=seconds_to_midnight(moment),
    )


def _running() -> QuotaError:
    return RateLimitError(
        "The rest of this key's tokens of today is reserved by requests that are running.",
        hint="Wait for them to end, or ask for fewer max_tokens in each.",
        retry_after_seconds=RUNNING_RETRY_SECONDS,
    )


def midnight(moment: datetime) -> datetime:
    """Return when the day of a moment began, in UTC."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)

"""How much a user may ask, and how much may be asked of an adapter and of all adapters of an owner.

Three limits each: answers at a time, requests a minute, tokens a day. The administrator sets them
for all; who manages an adapter may set smaller ones for it. Limits of own keys are in `key_limits`,
which counts the same way; a request must keep all that hold for it.

Answers and requests are counted in this process. Tokens are counted in the database, in the usage
of ended answers and in what running ones may still make, so all replicas agree.

Invariants:
- A request is counted everywhere or, if it is refused anywhere, nowhere.
- What it holds is given back once, however it ends; after a crash, within `RESERVED_SECONDS`.
- `max_tokens` is cut to what is left, so the tokens *made* in a day are never more than a limit.
- Where no limit of tokens holds, nothing is asked of the database.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sqlalchemy.engine import Connection

from adaptery.errors import InsufficientQuotaError, QuotaError, RateLimitError
from adaptery.times import Clock, now
from adaptery_hub.database import Database
from adaptery_hub.database.statements import limits as statements
from adaptery_hub.database.statements.limits import Kind
from adaptery_hub.identity import Identity
from adaptery_hub.key_limits import (
    BUCKETS_LIMIT,
    RESERVED_SECONDS,
    RUNNING_RETRY_SECONDS,
    Bucket,
    Headers,
    midnight,
    request_headers,
    seconds_to_midnight,
    token_headers,
)

Tell = Callable[[Headers], None]

_SUBJECTS: Mapping[Kind, str] = {
    "user": "You have",
    "owner": "The adapters of this owner have",
    "adapter": "This adapter has",
}


@dataclass(frozen=True)
class Limit:
    """What one holder may have; None means that there is no limit."""

    answers: int | None = None
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None

    @classmethod
    def read(cls, values: Mapping[str, int] | None) -> Limit:
        """Return the limits of a mapping, where 0 means none."""
        return cls(**{name: value or None for name, value in (values or {}).items()})

    def within(self, other: Limit) -> Limit:
        """Return the smaller of each."""
        return Limit(
            _least(self.answers, other.answers),
            _least(self.requests_per_minute, other.requests_per_minute),
            _least(self.tokens_per_day, other.tokens_per_day),
        )


@dataclass(frozen=True)
class Holder:
    """Whom a request counts for."""

    kind: Kind
    id: str
    limit: Limit


@dataclass(frozen=True)
class Wish:
    """A request, as far as limits go."""

    request_id: str
    tenant_id: str
    max_tokens: int
    answers: int = 1
    owner_id: str | None = None
    adapter_id: str | None = None
    adapter_limits: Mapping[str, int] | None = None


class Held:
    """What a request holds; `max_tokens` of each of its answers is at most this."""

    def __init__(self, max_tokens: int, give_back: Callable[[], None], in_database: bool) -> None:
        self.max_tokens = max_tokens
        self.in_database = in_database
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> bool:
        """Give back what is counted here; return whether this was the first time."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()
        return give_back is not None


class Limits:
    """The limits of all users, owners and adapters."""

    def __init__(
        self,
        database: Database,
        user: Limit | None = None,
        owner: Limit | None = None,
        adapter: Limit | None = None,
        clock: Clock = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._user = user or Limit()
        self._owner = owner or Limit()
        self._adapter = adapter or Limit()
        self._clock = clock
        self._monotonic = monotonic
        self._running: Counter[tuple[Kind, str]] = Counter()
        self._buckets: dict[tuple[Kind, str], Bucket] = {}
        #: Tells the tokens of a user or adapter that the database does not count yet.
        self.pending_tokens: Callable[[str], int] = lambda holder_id: 0

    async def enter(self, wish: Wish, tell: Tell = lambda headers: None) -> Held:
        """Count a request; call `leave` with what is returned when it has ended.

        Args:
            wish: the request.
            tell: takes the headers that tell of its limits, also if it is refused.

        Raises:
            RateLimitError: too many run, or came in the last minute; or the rest of today's tokens
                is held by answers that run.
            InsufficientQuotaError: today's tokens are spent.
        """
        holders = self._holders(wish)
        self._check_running(holders, wish.answers)
        self._take_requests(holders, tell)
        for holder in holders:
            self._running[holder.kind, holder.id] += wish.answers
        counted = [holder for holder in holders if holder.limit.tokens_per_day is not None]
        held = Held(wish.max_tokens, lambda: self._give_back(holders, wish.answers), bool(counted))
        if counted:
            try:
                held.max_tokens = await self._hold_tokens(counted, wish, tell)
            except QuotaError:
                held.release()
                raise
            except BaseException:  # a caller that leaves, perhaps while the row is being written
                await asyncio.shield(self.leave(held, wish.request_id))
                raise
        return held

    async def leave(self, held: Held, request_id: str) -> None:
        """Give back what a request held."""
        if held.release() and held.in_database:
            before = self._clock() - timedelta(seconds=RESERVED_SECONDS)
            await self._database.write(lambda c: statements.end(c, request_id, before))

    def adapter_limit(self, own: Mapping[str, int] | None) -> Limit:
        """Return what holds for an adapter that has these limits of its own."""
        return Limit.read(own).within(self._adapter)

    def _holders(self, wish: Wish) -> Sequence[Holder]:
        holders = [Holder("user", wish.tenant_id, self._user)]
        if wish.owner_id is not None:
            holders.append(Holder("owner", wish.owner_id, self._owner))
        if wish.adapter_id is not None:
            limit = self.adapter_limit(wish.adapter_limits)
            holders.append(Holder("adapter", wish.adapter_id, limit))
        return [holder for holder in holders if holder.limit != Limit()]

    def _check_running(self, holders: Sequence[Holder], answers: int) -> None:
        for holder in holders:
            limit, running = holder.limit.answers, self._running[holder.kind, holder.id]
            if limit is not None and running + answers > limit:
                raise RateLimitError(
                    f"{_SUBJECTS[holder.kind]} {running} of at most {limit} answers running.",
                    hint="Wait for one to end.",
                    retry_after_seconds=RUNNING_RETRY_SECONDS,
                )

    def _take_requests(self, holders: Sequence[Holder], tell: Tell) -> None:
        at = self._monotonic()
        buckets = [
            (holder, self._bucket(holder, limit, at))
            for holder in holders
            if (limit := holder.limit.requests_per_minute) is not None
        ]
        if not buckets:
            return
        full = next(((h, b) for h, b in buckets if b.left(at) < 1), None)
        if full is None:
            for _, bucket in buckets:
                bucket.take(at)
        tightest = min((bucket for _, bucket in buckets), key=lambda bucket: bucket.left(at))
        tell(request_headers(tightest, at))
        if full is not None:
            holder, bucket = full
            raise RateLimitError(
                f"{_SUBJECTS[holder.kind]} had {bucket.per_minute} requests in this minute, which "
                "is the limit.",
                hint="Wait a moment.",
                retry_after_seconds=bucket.take(at),
            )

    async def _hold_tokens(self, holders: Sequence[Holder], wish: Wish, tell: Tell) -> int:
        made, headers = await self._database.write(lambda c: self._count(c, holders, wish))
        tell(headers)
        if isinstance(made, QuotaError):
            raise made
        return made

    def _count(
        self, connection: Connection, holders: Sequence[Holder], wish: Wish
    ) -> tuple[int | QuotaError, Headers]:
        moment = self._clock()
        statements.lock(connection, {wish.tenant_id, wish.owner_id or wish.tenant_id})
        each = wish.max_tokens
        told: tuple[int, Headers] | None = None
        for holder in holders:
            limit = holder.limit.tokens_per_day
            assert limit is not None
            spent = self._spent(connection, holder)
            since = moment - timedelta(seconds=RESERVED_SECONDS)
            left = (
                limit - spent - statements.running_since(connection, holder.kind, holder.id, since)
            )
            if left < wish.answers:
                headers = token_headers(limit, left, moment)
                if limit - spent >= wish.answers:
                    return _held(holder, limit), headers
                refusal = _spent(holder, spent, limit, seconds_to_midnight(moment))
                return refusal, {**headers, "x-should-retry": "false"}
            each = min(each, left // wish.answers)
            if told is None or left < told[0]:
                told = left, token_headers(limit, left - each * wish.answers, moment)
        statements.begin(
            connection,
            wish.request_id,
            moment,
            tenant_id=wish.tenant_id,
            owner_id=wish.owner_id,
            adapter_id=wish.adapter_id,
            tokens=each * wish.answers,
        )
        return each, told[1] if told else {}

    def _spent(self, connection: Connection, holder: Holder) -> int:
        since = midnight(self._clock())
        spent = statements.spent_since(connection, holder.kind, holder.id, since)
        if holder.kind != "owner":
            return spent + self.pending_tokens(holder.id)
        owned = statements.adapters_of(connection, holder.id)
        return spent + sum(map(self.pending_tokens, owned))

    def _give_back(self, holders: Sequence[Holder], answers: int) -> None:
        for holder in holders:
            place = holder.kind, holder.id
            self._running[place] -= answers
            if self._running[place] <= 0:
                del self._running[place]

    def _bucket(self, holder: Holder, per_minute: int, at: float) -> Bucket:
        place = holder.kind, holder.id
        bucket = self._buckets.get(place)
        if bucket is None or bucket.per_minute != per_minute:
            if len(self._buckets) >= BUCKETS_LIMIT:
                self._buckets = {p: b for p, b in self._buckets.items() if b.seconds_to_full(at)}
            bucket = self._buckets[place] = Bucket(per_minute, at)
        return bucket


class Asked(Protocol):
    """An adapter that is asked."""

    @property
    def id(self) -> str: ...  # noqa: D102 - as named

    @property
    def owner_id(self) -> str | None: ...  # noqa: D102

    @property
    def limits(self) -> Mapping[str, int] | None: ...  # noqa: D102


def wish_of(
    identity: Identity, request_id: str, max_tokens: int, answers: int, adapter: Asked | None
) -> Wish:
    """Return what a request to an adapter, or to a base model, comes to."""
    who = (request_id, identity.tenant_id, max_tokens, answers)
    return Wish(*who, adapter.owner_id, adapter.id, adapter.limits) if adapter else Wish(*who)


def _least(one: int | None, other: int | None) -> int | None:
    given = [value for value in (one, other) if value is not None]
    return min(given) if given else None


def _held(holder: Holder, limit: int) -> QuotaError:
    return RateLimitError(
        f"{_SUBJECTS[holder.kind]} {limit} tokens a day, and what is left of today's is held by "
        "answers that are running.",
        hint="Wait for them to end, or ask for fewer max_tokens in each.",
        retry_after_seconds=RUNNING_RETRY_SECONDS,
    )


def _spent(holder: Holder, spent: int, limit: int, wait_seconds: float) -> QuotaError:
    return InsufficientQuotaError(
        f"{_SUBJECTS[holder.kind]} spent {spent} tokens today; the limit is {limit}.",
        hint="Wait until midnight UTC, or ask an administrator for more.",
        retry_after_seconds=wait_seconds,
    )

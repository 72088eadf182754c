"""Why an agent refuses a sealed message, and the memory that makes replays visible.

For: one error that looks the same to every sender, with a reason only the operator sees. Not for:
the checks themselves (`openers`, `grants`).

What always holds:
- A refusal's message never depends on its reason; the reason is counted, not sent.
- Within the window no nonce is admitted twice, even when the clock is set back.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from enum import StrEnum

from adaptery.errors import RefusedError

__all__ = ["NONCE_LIMIT", "REFUSAL", "WINDOW_SECONDS", "Freshness", "RefusalReason"]

#: What an agent answers in clear to everything it refuses. Unsealed on purpose: it holds no reply
#: key it could trust. It starts with 0xff, which no frame counter does.
REFUSAL = b"\xffadaptery/1|refused"

WINDOW_SECONDS = 60.0  # a stamp may differ this much from the receiver's clock, either way
NONCE_LIMIT = 200_000  # entries; about 1,600 requests a second for the two minutes that count


class RefusalReason(StrEnum):
    """What was wrong, for counters and logs of the operator."""

    MALFORMED = "malformed"  #: not an envelope: too short, unknown suite, fields missing or unknown
    ADDRESS = "address"  #: no reply subject, or subject or reply differ from what was signed
    SEAL = "seal"  #: does not open: wrong key, wrong verb or agent, truncated or changed
    NO_GRANT = "no_grant"  #: the envelope carries none
    GRANT = "grant"  #: not signed by the service, or unreadable
    GRANT_EXPIRED = "grant_expired"
    VERB = "verb"  #: the grant is for another verb than the subject serves
    SIGNATURE = "signature"  #: not signed by the key that the grant names
    STALE = "stale"  #: stamped outside the window
    BEFORE_START = "before_start"  #: stamped before this receiver started
    REPLAY = "replay"
    OVERLOAD = "overload"  #: the replay memory is full


class Freshness:
    """Admits each nonce once, and only within a window around now.

    Nonces are forgotten when their stamp leaves the window. The newest forgotten stamp is kept as a
    floor, so that a clock that is set back cannot make a forgotten message fresh again.
    """

    def __init__(
        self, window_seconds: float, *, started_at: datetime | None, limit: int = NONCE_LIMIT
    ) -> None:
        self._window = timedelta(seconds=window_seconds)
        # Stamps on the wire have milliseconds; a message of the starting millisecond is not older.
        self._floor = started_at and started_at.replace(
            microsecond=started_at.microsecond // 1000 * 1000
        )
        self._forgotten_at: datetime | None = None
        self._limit = limit
        self._arrivals: deque[tuple[bytes, datetime]] = deque()
        self._nonces: set[bytes] = set()

    def admit(self, nonce: bytes, sent_at: datetime, now: datetime) -> None:
        """Admit a message or say why not.

        Raises:
            RefusedError: stale, stamped before the start, seen before, or no room to remember it.
        """
        self._forget(now)
        if abs(now - sent_at) > self._window:
            raise RefusedError(reason=RefusalReason.STALE)
        if self._floor is not None and sent_at < self._floor:
            raise RefusedError(reason=RefusalReason.BEFORE_START)
        if self._forgotten_at is not None and sent_at <= self._forgotten_at:
            raise RefusedError(reason=RefusalReason.STALE)
        if nonce in self._nonces:
            raise RefusedError(reason=RefusalReason.REPLAY)
        if len(self._nonces) >= self._limit:
            raise RefusedError(reason=RefusalReason.OVERLOAD)
        self._nonces.add(nonce)
        self._arrivals.append((nonce, sent_at))

    def _forget(self, now: datetime) -> None:
        while self._arrivals and now - self._arrivals[0][1] > self._window:
            nonce, sent_at = self._arrivals.popleft()
            self._nonces.discard(nonce)
            if self._forgotten_at is None or sent_at > self._forgotten_at:
                self._forgotten_at = sent_at

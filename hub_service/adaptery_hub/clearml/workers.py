"""Lets workers of ClearML in: a ticket and the key of workers for an attempt, and then its session.

    ticket of the ClearML task + key of workers -> the job is leased -> session token
    session token -> operations of the attempt, as an agent has them (`fleet.session_desk`)

What always holds:
- A ticket alone opens nothing: every user of ClearML can read it. The key of workers alone opens
  nothing either: it names no job.
- A ticket is of use once. A session is one attempt's, ends with it, and lives for
  `SESSION_SECONDS` after its last report.
- Neither codes nor tokens are stored or logged: of a code the digest, of a token nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from adaptery import base64url
from adaptery.digests import sha256_bytes
from adaptery.errors import ConflictError, LeaseLostError, NotAuthenticatedError
from adaptery.schemas.worker import Hold, TicketUse
from adaptery.sealed import derive_session_key
from adaptery.times import Clock, now
from adaptery_hub.database import Database
from adaptery_hub.database.statements import clearml_tasks as statements
from adaptery_hub.database.statements.jobs import Offer
from adaptery_hub.fleet.session_desk import SessionDesk
from adaptery_hub.queue.port import Queue

#: Who holds the attempts of all workers of ClearML.
AGENT = "clearml"
#: A service that is away for longer costs an attempt; its lease is over long before.
SESSION_SECONDS = 3600
KEY_PREFIX = "awk_"


class WorkerDesk:
    """Where workers of ClearML come."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        desk: SessionDesk,
        session_master: bytes,
        key: bytes,
        clock: Clock = now,
    ) -> None:
        self._database = database
        self._queue = queue
        self._desk = desk
        self._session_master = session_master
        self._key = KEY_PREFIX + base64url.encode(key)
        self._clock = clock

    def check_key(self, shown: str) -> None:
        """Checks the key of workers.

        Raises:
            NotAuthenticatedError: It is another.
        """
        if not hmac.compare_digest(shown.encode(), self._key.encode()):
            raise NotAuthenticatedError(hint="Send the key of workers.")

    def check_session(self, attempt_id: str, shown: str) -> None:
        """Checks the session token of an attempt.

        Raises:
            NotAuthenticatedError: It is another attempt's, or its time is over.
        """
        until = shown.partition(".")[0]
        expected = self._token(attempt_id, until)
        fits = hmac.compare_digest(shown.encode(), expected.encode())
        if not fits or int(until) < self._clock().timestamp():
            raise NotAuthenticatedError(hint="Send the session token of this attempt.")

    async def begin(self, use: TicketUse) -> Hold:
        """Leases the job of a ticket.

        Raises:
            LeaseLostError: The ticket is of no use any more.
            ConflictError: The job cannot begin now.
        """
        digest = sha256_bytes(use.code.encode())
        row = await self._database.write(lambda c: statements.use(c, use.job, digest))
        if row is None:
            raise LeaseLostError("The ticket was used, or is not one of this service.")
        offer = Offer(AGENT, row["queue"], frozenset({use.weight_digest}), job_id=use.job)
        claim = await self._queue.claim(offer)

        def note(connection: Connection) -> None:
            known = {"state": statements.OVER} if claim is None else {}
            if claim is not None:
                known["attempt_id"] = claim.attempt_id
            statements.change(connection, row["id"], statements.BEGUN, **known)

        await self._database.write(note)
        if claim is None:
            raise ConflictError(
                "The job does not begin now.",
                hint="It was cancelled, its queue is paused, or its owner has enough in training; "
                "it comes again.",
            )
        await self._queue.confirm(claim)
        return Hold(
            attempt=claim.attempt_id,
            fencing_token=claim.fencing_token,
            lease_seconds=claim.lease_seconds,
            resume_from=claim.spec.resume_from,
            session=self._new_token(claim.attempt_id, self._clock()),
        )

    async def handle(
        self, attempt_id: str, header: dict[str, object], blob: bytes
    ) -> tuple[Mapping[str, object], bytes]:
        """Does one operation of an attempt; a report is answered with a new token.

        Raises:
            AdapteryError: Whatever the operation ends with.
        """
        answer, piece = await self._desk.handle(AGENT, attempt_id, header, blob)
        if header.get("op") == "report":
            answer = {**answer, "session": self._new_token(attempt_id, self._clock())}
        return answer, piece

    def _new_token(self, attempt_id: str, moment: datetime) -> str:
        until = moment + timedelta(seconds=SESSION_SECONDS)
        return self._token(attempt_id, str(int(until.timestamp())))

    def _token(self, attempt_id: str, until: str) -> str:
        key = derive_session_key(self._session_master, attempt_id, AGENT)
        return f"{until}.{base64url.encode(hmac.digest(key, until.encode(), 'sha256'))}"

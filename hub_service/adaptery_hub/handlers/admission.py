"""Lets a long answer go on only while its caller would still be let in.

Invariants:

- Our own rights are looked at without waiting for the Hub: a Hub that hangs keeps nobody in.
- While the Hub does not answer, its last word about the token stands.
- Whatever ends the work, the work is cancelled and over before this returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from sqlalchemy.engine import Connection

from adaptery.errors import NotFoundError, UnavailableError
from adaptery.ids import is_id
from adaptery_hub.database import tables
from adaptery_hub.handlers.base import Handler
from adaptery_hub.identity import Identity
from adaptery_hub.keys import NOT_IN_FORCE, NOT_IN_FORCE_HINT, is_in_force
from adaptery_hub.permissions import Right, fetch

#: Asks the database whether an identity may still have what it gets; raises if it may not.
Check = Callable[[Connection, Identity], object]


async def while_admitted(
    handler: Handler, work: Awaitable[None], thing_id: str | None, check: Check
) -> None:
    """Do the work, and drop it when the client leaves or is not let in any more.

    Args:
        handler: the request.
        work: what writes the answer.
        thing_id: what the answer is about.
        check: looks whether the caller has the right to it.

    Raises:
        NotAuthenticatedError: the token is not valid any more.
        NotAllowedError: the token, or the right, is not enough any more.
        NotFoundError: the caller has no right any more.
        Exception: whatever the work raises.
    """
    with handler.interruptible() as interruption:

        async def look() -> None:
            identity = handler.identity
            try:
                await handler.services.db.look_up(lambda c: check(c, identity))
            except Exception as error:
                interruption.interrupt(error)

        async def look_at_token() -> None:
            before = handler.identity
            try:
                with suppress(UnavailableError):
                    await handler.authenticate()
            except Exception as error:
                interruption.interrupt(error)
                return
            if handler.identity != before:
                await look()

        passed_seconds = handler.request.request_time()
        with handler.services.admissions.watch(thing_id, look, look_at_token, passed_seconds):
            await interruption.run(work)


def may_use(adapter_id: str | None) -> Check:
    """Return the look at the right to the adapter that answers; a base model is there for everyone.

    Whoever got a part of the answer knew of the adapter: they are told what has ended.
    """

    def check(connection: Connection, identity: Identity) -> None:
        if adapter_id is None:
            return
        try:
            if is_id(adapter_id, "jb"):  # a checkpoint of a job that has no adapter yet
                fetch(connection, tables.jobs, identity, adapter_id, Right.EDIT)
            else:
                fetch(connection, tables.adapters, identity, adapter_id, Right.USE)
        except NotFoundError:
            if identity.key is not None and not is_in_force(connection, identity.key):
                raise NotFoundError(NOT_IN_FORCE, hint=NOT_IN_FORCE_HINT) from None
            raise NotFoundError(
                "You may not use this adapter any more.", hint="Ask its owner for a grant."
            ) from None

    return check


async def until_closed(handler: Handler, work: Awaitable[None]) -> None:
    """Do the work, and drop it when the client leaves or the service has to end.

    Raises:
        Exception: whatever the work raises.
    """
    with handler.interruptible() as interruption:
        await interruption.run(work)

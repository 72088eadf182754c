"""Lets a long answer go on only while its caller would still be let in.

Invariants:

- Our own rights are looked at without waiting for the Hub: a Hub that hangs keeps nobody in.
- While the Hub does not answer, its last word about the token stands.
- Whatever ends the work, the work is cancelled and over before this returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sqlalchemy.engine import Connection

from adaptery.errors import UnavailableError
from adaptery_hub.handlers.base import Handler
from adaptery_hub.identity import Identity

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
    working = asyncio.ensure_future(work)
    with handler.services.admissions.watch(thing_id) as doubt:
        others = [
            asyncio.ensure_future(_watch_rights(handler, check, doubt)),
            asyncio.ensure_future(_watch_token(handler, doubt)),
            asyncio.ensure_future(handler.closed.wait()),
        ]
        try:
            done, _ = await asyncio.wait({working, *others}, return_when=asyncio.FIRST_COMPLETED)
            for task in {working} & done or done:
                task.result()
        finally:
            for task in (working, *others):
                task.cancel()
            await asyncio.gather(working, *others, return_exceptions=True)


async def _watch_rights(handler: Handler, check: Check, doubt: asyncio.Event) -> None:
    seconds = handler.services.admissions.look_again_seconds
    # What was checked when the request came is old by now if the answer was long in coming.
    patience = max(0.0, seconds - handler.request.request_time())
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(doubt.wait(), patience)
        doubt.clear()
        identity = handler.identity
        await handler.services.db.read(lambda c, i=identity: check(c, i))
        patience = seconds


async def _watch_token(handler: Handler, doubt: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(handler.services.admissions.look_again_seconds)
        before = handler.identity
        with suppress(UnavailableError):
            await handler.authenticate()
        if handler.identity != before:
            doubt.set()

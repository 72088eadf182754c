"""When running streams look again whether their caller is still let in.

A right that is taken away, a group that is left and a token that is revoked end what is running.
Whoever takes a right away in this process says so here, and the streams of that thing look at once;
what another process did is found within `look_again_seconds`.

A hint, never the truth: what counts is what the database and the Hub say then. See
`handlers.admission`, which looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

#: How long a stream goes on before it looks again. The look at our own rights is one short query;
#: the Hub's answer about a token is believed for `identity_cache_seconds` of that.
LOOK_AGAIN_SECONDS = 5.0


class Admissions:
    """The running streams, by the thing that they are about; for use on the event loop only."""

    def __init__(self, look_again_seconds: float = LOOK_AGAIN_SECONDS) -> None:
        self.look_again_seconds = look_again_seconds
        self._watches: dict[str | None, set[asyncio.Event]] = {}

    def recheck(self, thing_id: str) -> None:
        """Let the streams about a thing look at once."""
        for doubt in self._watches.get(thing_id, ()):
            doubt.set()

    def recheck_all(self) -> None:
        """Let every stream look at once."""
        for doubts in self._watches.values():
            for doubt in doubts:
                doubt.set()

    @contextmanager
    def watch(self, thing_id: str | None) -> Iterator[asyncio.Event]:
        """Give an event that is set when it is time to look; the stream clears it."""
        doubt = asyncio.Event()
        self._watches.setdefault(thing_id, set()).add(doubt)
        try:
            yield doubt
        finally:
            doubts = self._watches[thing_id]
            doubts.discard(doubt)
            if not doubts:
                del self._watches[thing_id]

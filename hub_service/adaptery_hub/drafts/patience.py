"""How long anybody may search: a few slow searches would keep everybody else from their drafts.

What makes a search slow are words that are about everywhere, in about everything: no limit on words
and characters rules that out. Whoever searches is told to ask for something else.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager

from adaptery.errors import InvalidInputError

SEARCH_SECONDS = 10.0
#: An interrupt ends only what runs just then; what begins right after it is ended this much later.
AGAIN_SECONDS = 0.5


@contextmanager
def impatient(connection: sqlite3.Connection, seconds: float = SEARCH_SECONDS) -> Generator[None]:
    """Let a search in this connection take so long.

    Raises:
        InvalidInputError: it took longer.
    """
    over, late = threading.Event(), threading.Event()

    def watch() -> None:
        # Not SQLite's progress handler: that would wait for the interpreter again and again.
        if over.wait(seconds):
            return
        late.set()
        connection.interrupt()
        while not over.wait(AGAIN_SECONDS):
            connection.interrupt()

    watcher = threading.Thread(target=watch, name="draft-search", daemon=True)
    watcher.start()
    try:
        yield
    except sqlite3.OperationalError:
        if not late.is_set():
            raise
        raise InvalidInputError(
            f"The search took longer than {seconds:g} s.", hint="Give fewer words, or rarer ones."
        ) from None
    finally:
        over.set()
        watcher.join()  # before anybody closes the connection

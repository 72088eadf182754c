"""What every client program does: run its features one by one and say how each went.

Each program runs in the environment of its client, unmodified, and knows of the service only what
a user would paste into it. It prints one JSON object a line: {"feature", "ok", "error"}.
"""

import json
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass

FEATURES: list[tuple[str, Callable[[], None]]] = []


@dataclass(frozen=True)
class Place:
    """Where and as whom a client asks."""

    service: str  # ends in /services/adaptery
    token: str  # of the Hub
    key: str  # own key of one adapter
    adapter: str  # its pinned name
    base: str
    embedding: str

    @property
    def openai(self) -> str:
        return f"{self.service}/v1"

    @property
    def bound(self) -> str:
        return f"{self.service}/a/{self.adapter.partition('@1')[0]}/v1"


PLACE = Place(**json.loads(os.environ["CLIENT_PLACE"]))
HELLO = [{"role": "user", "content": "Write note 3."}]
#: Roles as users of other platforms send them.
OLD_ROLES = [*HELLO, {"role": "model", "content": "S: cough 3."}, *HELLO]


def feature(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Mark a function as the proof of a feature: it returns, or raises."""

    def mark(function: Callable[[], None]) -> Callable[[], None]:
        FEATURES.append((name, function))
        return function

    return mark


def run() -> None:
    """Run all features and print how they went."""
    for name, function in FEATURES:
        error = None
        try:
            function()
        except Exception:
            error = traceback.format_exc()[-1500:]
        print(json.dumps({"feature": name, "ok": error is None, "error": error}), flush=True)


def same(found: object, wanted: object) -> None:
    """Check that two values are equal, and show them if not."""
    assert found == wanted, f"{found!r} is not {wanted!r}"

"""Presidio's pattern recognisers beside our own, if the extra `pii` is installed.

Only those that are patterns with a check: no language model is loaded and nothing is downloaded.
Its recogniser of e-mail addresses is left out: it fetches a list of domains at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from adaptery.errors import MissingExtraError
from adaptery.schemas.review import PiiKind
from adaptery_hub.review.recognisers import Hit

#: Characters that one recogniser is given at once: its patterns are not bounded as ours are.
PIECE_CHARACTERS = 10_000
#: How sure it has to be.
LEAST_SCORE = 0.4

_RECOGNISERS: tuple[tuple[str, PiiKind], ...] = (
    ("UsSsnRecognizer", "ssn"),
    ("CreditCardRecognizer", "card"),
    ("IpRecognizer", "ip"),
    ("DateRecognizer", "date"),
    ("PhoneRecognizer", "phone"),
)


def presidio_finder() -> Callable[[str], Iterator[Hit]]:
    """Return a finder of hits by presidio.

    Raises:
        MissingExtraError: presidio is not installed.
    """
    try:
        from presidio_analyzer import (  # pyright: ignore[reportMissingImports]
            predefined_recognizers as theirs,
        )
    except ImportError:
        raise MissingExtraError(
            "Presidio is not installed.", hint="pip install 'adaptery[pii]' on the host of the Hub"
        ) from None
    made: list[tuple[Any, PiiKind]] = [
        (getattr(theirs, name)(), kind) for name, kind in _RECOGNISERS
    ]

    def find(text: str) -> Iterator[Hit]:
        for start in range(0, len(text), PIECE_CHARACTERS):
            piece = text[start : start + PIECE_CHARACTERS]
            for recogniser, kind in made:
                entities = recogniser.supported_entities
                for result in recogniser.analyze(text=piece, entities=entities, nlp_artifacts=None):
                    if result.score >= LEAST_SCORE:
                        yield Hit(kind, start + result.start, start + result.end)

    return find

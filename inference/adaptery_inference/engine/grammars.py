"""What an answer must be, where a caller wants JSON: the protocols of a grammar and its matcher.

A grammar is compiled once and shared; a matcher follows one answer through it. Both are made
outside of the pure core (``adaptery_inference.grammars``).

Invariants:
* a matcher has accepted exactly the tokens of its answer: it stays with a preempted row, whose
  output is kept;
* an answer ends when its matcher is complete, or with an end token, which the mask allows only
  where the answer may end.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class GrammarSource:
    """A grammar as text, and the field of the request that asked for it."""

    text: str
    field: str


class Matcher(Protocol):
    """Follows one answer."""

    @property
    def complete(self) -> bool:
        """Whether the answer is whole and nothing can follow."""
        ...

    @property
    def broken(self) -> bool:
        """Whether following the answer has become too costly; then nothing more can be told."""
        ...

    def mask(self) -> bytes | None:
        """One bit per token, lowest first: whether it may come next. None: it broke."""
        ...

    def accept(self, token: int) -> None:
        """Go on by a token that the mask allows."""
        ...


class Grammar(Protocol):
    """What an answer must be."""

    @property
    def field(self) -> str:
        """The field of the request that asked for it."""
        ...

    def matcher(self) -> Matcher:
        """A matcher for a new answer."""
        ...

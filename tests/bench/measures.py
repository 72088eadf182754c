"""One line of a benchmark's table."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Measure:
    """A measured value, with the peer's beside it."""

    measure: str
    value: float
    unit: str
    how: str
    peer: str | None = None
    peer_value: float | None = None
    #: What `ratio` (or `value`, without a peer) should reach.
    goal: float | None = None
    #: What `value` should stay below, whatever the peer does.
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """Our value over the peer's."""
        return self.value / self.peer_value if self.peer_value else None

    def as_row(self) -> dict[str, object]:
        """Return the row that goes into the table and the file."""
        return {**asdict(self), "ratio": self.ratio, "holds": self._holds()}

    def _holds(self) -> bool | None:
        if self.limit is not None:
            return self.value < self.limit
        if self.goal is None:
            return None
        return (self.ratio if self.ratio is not None else self.value) >= self.goal

"""The examples that are held out: when the loss on them is measured, and what follows from it.

It measures nothing itself; that is the trainer's. No torch.

Invariants:

1. When an evaluation is due follows from the step alone, never from a stop or a resume: so a
   resumed run ends where an uninterrupted one does.
2. A batch and its place are the same each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass

from adaptery.schemas.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Best:
    """The best evaluation so far."""

    loss: float | None = None
    step: int = 0
    stale: int = 0  #: evaluations since that were no better

    def follow(self, loss: float, step: int) -> Best:
        """Return the best after one more evaluation; a tie is no better."""
        if self.loss is None or loss < self.loss:
            return Best(loss, step)
        return Best(self.loss, self.step, self.stale + 1)


#: Before the first evaluation.
NO_BEST = Best()


class HeldOut:
    """The held out examples of a job, maybe none."""

    def __init__(self, examples: Sequence[Sized], spec: JobSpec) -> None:
        self._by_length = sorted(examples, key=len)
        self._batch_size = spec.optim.batch_size
        self._is_measured = bool(examples) and spec.evaluates_on_the_way
        self._every = spec.eval.steps or spec.optim.save_steps
        self._patience = spec.eval.patience if examples else None

    def is_due(self, step: int, last_step: int) -> bool:
        """Say whether the loss is measured after this step."""
        return self._is_measured and (step % self._every == 0 or step == last_step)

    def batches(self) -> Iterator[Sequence[Sized]]:
        """Yield all examples, like lengths side by side."""
        for start in range(0, len(self._by_length), self._batch_size):
            yield self._by_length[start : start + self._batch_size]

    @property
    def keeps_best(self) -> bool:
        """Whether the best weights are kept and handed in."""
        return self._patience is not None

    def is_over(self, best: Best) -> bool:
        """Say whether the evaluations have become no better for long enough to end training."""
        return self._patience is not None and best.stale >= self._patience

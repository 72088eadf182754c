"""How long training takes, from the tokens a second that past attempts had. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptery.schemas.preflight import TimeEstimate

#: What one run alone may be off by, either way: machines are shared, and lengths differ.
ALONE = 1.5


@dataclass(frozen=True)
class Speed:
    """What one attempt had."""

    agent_id: str
    tokens_per_second: float


def estimate_time(
    total_tokens: int, stage: str, speeds: Sequence[Speed], live: frozenset[str]
) -> TimeEstimate:
    """Return how long so many tokens take.

    Args:
        total_tokens: of all epochs.
        stage: of the job.
        speeds: of past attempts with the same base model, stage and precision.
        live: the agents that could take the job; theirs count, if there are any.
    """
    if stage == "grpo":
        return _unknown("this stage writes answers of its own, which takes as long as they are")
    known = [speed for speed in speeds if speed.tokens_per_second > 0]
    chosen = [speed for speed in known if speed.agent_id in live] or known
    if not chosen:
        return _unknown("no job with this base model, stage and precision has been completed here")
    slowest = min(speed.tokens_per_second for speed in chosen)
    fastest = max(speed.tokens_per_second for speed in chosen)
    if len(chosen) == 1:
        slowest, fastest = slowest / ALONE, fastest * ALONE
    agents = len({speed.agent_id for speed in chosen})
    runs = f"{len(chosen)} past run{'s' if len(chosen) > 1 else ''}"
    return TimeEstimate(
        low=round(total_tokens / fastest, 1),
        high=round(total_tokens / slowest, 1),
        basis=f"{runs} on {agents} agent{'s' if agents > 1 else ''}, "
        f"{slowest:,.0f} to {fastest:,.0f} tokens a second",
    )


def _unknown(why: str) -> TimeEstimate:
    return TimeEstimate(low=None, high=None, basis=why)

"""What the review of a draft says to its publishing: counts for the report, and the policy.

A policy names, by sensitivity, the queues that must be looked through before a draft is published.

Invariant: what was looked through for less than a review looks for by itself, or found more than a
queue holds, was not looked through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptery.errors import ConflictError, FieldProblem
from adaptery.schemas.datasets import ReviewCount
from adaptery.schemas.review import Queue, ReviewOptions
from adaptery_hub.drafts import Draft
from adaptery_hub.drafts.findings import QueueState
from adaptery_hub.review import open_findings


def review_counts(draft: Draft) -> Mapping[str, ReviewCount]:
    """Return what each queue holds that was looked at since the draft changed."""
    return {
        queue: ReviewCount(open=state.open + _left_out(state), decided=state.decided)
        for queue, state in open_findings(draft).items()
        if not state.stale and _looked_for_all(queue, state)
    }


def decided_counts(draft: Draft) -> Mapping[str, int]:
    """Return how many decisions stand in each queue, whatever changed since."""
    states = open_findings(draft).items()
    return {queue: state.decided for queue, state in states if state.decided}


def check_policy(draft: Draft, queues: Sequence[str]) -> None:
    """Refuse a draft in which queues of the policy hold something open, or were not looked at.

    Raises:
        ConflictError: naming each of these queues.
    """
    counts = review_counts(draft)
    problems = [
        FieldProblem(queue, _reason(counts.get(queue)), "Review it, then publish.")
        for queue in queues
        if queue not in counts or counts[queue].open
    ]
    if problems:
        raise ConflictError(
            "The policy for this sensitivity does not let the draft be published as it is.",
            hint="Decide about the findings in the review, then publish again.",
            errors=problems,
        )


def check_reports(
    sources: Sequence[tuple[str, Mapping[str, Any] | None]], queues: Sequence[str]
) -> None:
    """Refuse to merge versions that the policy would not have let be published.

    Args:
        sources: the name of each version, which the caller may view, and its report.
        queues: what the policy asks for.

    Raises:
        ConflictError: naming each queue that was not looked through, and in which sources.
    """
    missing = {
        queue: ", ".join(dict.fromkeys(name for name, report in sources if _open(report, queue)))
        for queue in queues
        if any(_open(report, queue) for _, report in sources)
    }
    if missing:
        raise ConflictError(
            "The policy for this sensitivity does not let these versions be merged.",
            hint="Review and publish the sources again, then merge.",
            errors=[
                FieldProblem(queue, f"was not looked through in {names}.", "Review it there.")
                for queue, names in missing.items()
            ],
        )


def _open(report: Mapping[str, Any] | None, queue: str) -> bool:
    return bool((((report or {}).get("review") or {}).get(queue) or {"open": 1})["open"])


def _looked_for_all(queue: Queue, state: QueueState) -> bool:
    """Tell whether an analysis found at least what one without options finds."""
    usual, asked = ReviewOptions(), ReviewOptions.model_validate(state.options or {})
    if queue == "pii":
        return set(asked.pii) >= set(usual.pii)
    if queue == "near":
        return asked.threshold <= usual.threshold and asked.part == usual.part
    if queue == "phrases":
        fewer = asked.phrase_records <= usual.phrase_records
        return fewer and asked.phrase_words <= usual.phrase_words
    if queue == "quality":
        return asked.short_characters >= usual.short_characters
    return True


def _left_out(state: QueueState) -> int:
    return int(state.details.get("left_out", 0))


def _reason(count: ReviewCount | None) -> str:
    if count is None:
        return "was not looked at since the draft changed, or for less than is usual."
    return f"holds {count.open} findings that nobody has decided about."

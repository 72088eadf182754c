"""What the review of a draft comes to, for publishing and for the page."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from adaptery.schemas.review import QUEUES, Queue
from adaptery_hub.drafts import Draft
from adaptery_hub.drafts.findings import QueueState


def open_findings(draft: Draft, sources: Collection[str] = ()) -> Mapping[Queue, QueueState]:
    """Return how each queue is that was looked at.

    `stale` records were added or changed since and may hold what nobody has seen: a policy that
    wants nothing open wants nothing stale either.

    Args:
        draft: the draft.
        sources: other datasets whose matches count too.
    """
    found: dict[Queue, QueueState] = {}
    for queue in QUEUES:
        state = draft.findings.state(queue, sources)
        if queue != "lengths" and state.analysed_at is not None:
            found[queue] = state
    return found

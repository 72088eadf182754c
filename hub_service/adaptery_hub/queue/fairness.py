"""Whose job is next: the fair order between tenants, as a pure rule.

The queue picks with it and the position shown to a user is computed with it (`lines`), so that
both always agree.

Invariants:
- The tenant with the fewest running jobs goes first; among equals the one whose last start is
  longest ago.
- Within a tenant: higher priority first, then the job that was queued first. A job that is queued
  again keeps its time, so a lost machine does not send it to the back.
- One tenant's thousand jobs delay another tenant's first job by at most one start per free slot.
- A tenant at its limit of running jobs is passed over, not waited for; so are the jobs of a user at
  the limit, while others' jobs of the same tenant go on.
- Who is first depends only on the first job of each user in each tenant.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


class Waiting(NamedTuple):  # of which thousands are made at once
    """One job that waits for a slot."""

    job_id: str
    tenant_id: str
    creator_id: str
    priority: int
    queued_at: datetime


@dataclass(frozen=True)
class Share:
    """What a tenant has of the slots already."""

    running: int = 0
    last_started_at: datetime | None = None


@dataclass(frozen=True)
class Taken:
    """Who has what of the slots already."""

    shares: Mapping[str, Share] = field(default_factory=dict[str, Share])  # by tenant
    by_creator: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Limits:
    """How many jobs may run at once; None means no limit."""

    of_tenant: int | None = None
    of_creator: int | None = None


def fair_order(
    waiting: Iterable[Waiting], taken: Taken = Taken(), limits: Limits = Limits()
) -> Iterator[Waiting]:
    """Yields the jobs in the order in which free slots would take them.

    Each yielded job counts as running for the ones after it. Jobs beyond a limit are not yielded.
    """
    lines = _lines(waiting)
    shares, by_creator = taken.shares, Counter(taken.by_creator)
    turns = _first_turns(lines, shares)
    heap = [
        (shares.get(tenant, Share()).running, turns[tenant], line[0].queued_at, tenant)
        for tenant, line in lines.items()
    ]
    heapq.heapify(heap)
    turn = len(turns)
    while heap:
        running, _, _, tenant = heapq.heappop(heap)
        if limits.of_tenant is not None and running >= limits.of_tenant:
            continue
        line = lines[tenant]
        _pass_over(line, by_creator, limits.of_creator)
        if not line:
            continue
        entry = line.popleft()
        by_creator[entry.creator_id] += 1
        yield entry
        turn += 1
        if line:
            heapq.heappush(heap, (running + 1, turn, line[0].queued_at, tenant))


def _pass_over(line: deque[Waiting], by_creator: Mapping[str, int], limit: int | None) -> None:
    """Drops the first jobs of a line whose users run as many as they may."""
    while limit is not None and line and by_creator[line[0].creator_id] >= limit:
        line.popleft()


def _lines(waiting: Iterable[Waiting]) -> dict[str, deque[Waiting]]:
    lines: defaultdict[str, deque[Waiting]] = defaultdict(deque)
    for entry in sorted(waiting, key=lambda w: (-w.priority, w.queued_at, w.job_id)):
        lines[entry.tenant_id].append(entry)
    return dict(lines)


def _first_turns(
    lines: Mapping[str, deque[Waiting]], shares: Mapping[str, Share]
) -> dict[str, int]:
    """Ranks tenants by their last start; tenants that never started share the first rank."""
    starts = {tenant: shares.get(tenant, Share()).last_started_at for tenant in lines}
    ranked = sorted({at for at in starts.values() if at is not None})
    ranks = {at: number for number, at in enumerate(ranked, start=1)}
    return {tenant: ranks[at] if at is not None else 0 for tenant, at in starts.items()}

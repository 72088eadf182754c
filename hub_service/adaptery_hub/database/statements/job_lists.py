"""Named statements on lists of jobs: which of them, in which order, and how many in each state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.states import FINAL_STATES, JobState
from adaptery_hub.database import tables
from adaptery_hub.database.statements.places import behind
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, right_of, visible, within_reach

_jobs = tables.jobs

#: Orders of a list: by when jobs were submitted, by their place in the queue as it is within one
#: owner, by their last change of state, and by name.
JobOrder = Literal["newest", "oldest", "queue", "changed", "name"]
ORDERS: tuple[JobOrder, ...] = get_args(JobOrder)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs someone wants to see, and in which order."""

    states: frozenset[JobState] = frozenset()  # all, if empty
    search: str | None = None  # what the name holds, in whatever case
    task: str | None = None
    sort: JobOrder | None = None  # as suits the states, if absent
    #: Notes that they have, all of them.
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def order(self) -> JobOrder:
        """The order that was asked for, or that suits the states."""
        if self.sort is not None:
            return self.sort
        if self.states == {JobState.QUEUED}:
            return "queue"
        if self.states == {JobState.CREATED}:
            return "oldest"
        if self.states and self.states <= FINAL_STATES | {JobState.TRAINING}:
            return "changed"
        return "newest"


def list_visible(
    connection: Connection,
    identity: Identity,
    wanted: JobFilter,
    after: str | None,
    limit: int,
) -> list[RowMapping]:
    """Returns up to `limit + 1` jobs that the caller may see, behind the job `after`.

    Raises:
        InvalidInputError: `after` is no job that the caller may see.
    """
    place, descending = _PLACES[wanted.order]
    statement = sa.select(_jobs, right_of(_jobs, identity).label("right"))
    statement = statement.where(*_visible(identity), *_conditions(wanted))
    statement = statement.order_by(*(part.desc() if descending else part for part in place))
    if after is not None:
        found = behind(connection, identity, _jobs, after, sa.tuple_(*place), descending=descending)
        statement = statement.where(found)
    return list(connection.execute(statement.limit(limit + 1)).mappings())


def count_visible(connection: Connection, identity: Identity) -> dict[str, int]:
    """Returns how many jobs that the caller may see are in each state; only where there are any."""
    statement = (
        sa.select(_jobs.c.state, sa.func.count()).where(*_visible(identity)).group_by(_jobs.c.state)
    )
    return {state: count for state, count in connection.execute(statement)}


def _visible(identity: Identity) -> tuple[sa.ColumnElement[bool], ...]:
    return within_reach(_jobs, identity), visible(_jobs, identity, Right.VIEW)


def _conditions(wanted: JobFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.states:
        conditions.append(_jobs.c.state.in_(wanted.states))
    if wanted.search:
        conditions.append(_jobs.c.name.icontains(wanted.search, autoescape=True))
    if wanted.task is not None:
        conditions.append(_jobs.c.task == wanted.task)
    conditions += [
        _jobs.c.metadata[name].as_string() == value for name, value in wanted.metadata.items()
    ]
    return conditions


#: What orders each list, and whether the highest comes first. A place in the queue stays when a job
#: has left it, so that a page can go on from there.
_PLACES: Mapping[JobOrder, tuple[tuple[sa.ColumnElement[object], ...], bool]] = {
    "newest": ((_jobs.c.id,), True),
    "oldest": ((_jobs.c.id,), False),
    "queue": (
        (
            -_jobs.c.priority,
            sa.func.coalesce(_jobs.c.queued_at, _jobs.c.created_at),
            _jobs.c.id,
        ),
        False,
    ),
    "changed": ((sa.func.coalesce(_jobs.c.state_at, _jobs.c.created_at), _jobs.c.id), True),
    "name": ((_jobs.c.name, _jobs.c.id), False),
}

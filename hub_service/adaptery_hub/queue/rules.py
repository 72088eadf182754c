"""The numbers that an administrator may change about queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from adaptery.schemas.queues import QueueOptions
from adaptery_hub.queue.fairness import Limits

LEASE_SECONDS = 60.0
MAX_ATTEMPTS = 5
RETRY_SECONDS = 5.0
REAP_SECONDS = 1.0
OPEN_JOBS_LIMIT = 100


@dataclass(frozen=True)
class QueueRules:
    """Limits of one queue; None means no limit."""

    lease_seconds: float = LEASE_SECONDS
    max_attempts: int = MAX_ATTEMPTS  # lost in a row without progress
    retry_seconds: float = RETRY_SECONDS  # see `outcomes.retry_after`
    running_limit: int | None = None  # jobs of one tenant that train at once
    user_running_limit: int | None = None  # jobs that one user submitted, whosever they are
    queue_running_limit: int | None = None  # jobs of all together
    labels: frozenset[str] = frozenset()  # that an agent must carry to serve it
    agents: bool = True  # whether agents serve it; False: ClearML's workers do
    restricted: bool = True  # whether who serves it gets what is restricted

    @property
    def limits(self) -> Limits:
        """What bounds the fair order."""
        return Limits(self.running_limit, self.user_running_limit)

    def changed_by(self, options: QueueOptions) -> Self:
        """Returns these rules with what an administrator says of one queue."""
        per_tenant, per_user = (
            options.max_running_jobs_per_tenant,
            options.max_running_jobs_per_user,
        )
        numbers = {
            name: value
            for name in ("lease_seconds", "max_attempts", "retry_seconds")
            if (value := getattr(options, name)) is not None
        }
        return replace(
            self,
            **numbers,
            running_limit=self.running_limit if per_tenant is None else per_tenant or None,
            user_running_limit=self.user_running_limit if per_user is None else per_user or None,
            queue_running_limit=options.max_running_jobs or None,
            labels=frozenset(options.labels),
            agents=options.clearml_queue is None,
            restricted=options.clearml_queue is None or options.clearml_restricted,
        )


@dataclass(frozen=True)
class RuleBook:
    """The rules of every queue."""

    usual: QueueRules = QueueRules()
    queues: Mapping[str, QueueRules] = field(default_factory=dict[str, QueueRules])
    open_jobs_limit: int = OPEN_JOBS_LIMIT  # jobs of one tenant that are not over, in all queues
    user_open_jobs_limit: int | None = None  # jobs that one user submitted

    def of(self, queue: str) -> QueueRules:
        """Returns the rules of one queue."""
        return self.queues.get(queue, self.usual)

    @property
    def longest_lease_seconds(self) -> float:
        """The longest lease that any queue gives."""
        return max(rules.lease_seconds for rules in (self.usual, *self.queues.values()))

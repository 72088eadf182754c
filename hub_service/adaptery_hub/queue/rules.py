"""The numbers that an administrator may change about the queue."""

from __future__ import annotations

from dataclasses import dataclass

LEASE_SECONDS = 60.0
MAX_ATTEMPTS = 5
REAP_SECONDS = 1.0
OPEN_JOBS_LIMIT = 100


@dataclass(frozen=True)
class QueueRules:
    """Limits of one queue back end."""

    lease_seconds: float = LEASE_SECONDS
    max_attempts: int = MAX_ATTEMPTS  # lost in a row without progress
    running_limit: int | None = None  # jobs of one tenant that train at once; None means no limit
    open_jobs_limit: int = OPEN_JOBS_LIMIT  # jobs of one tenant that are not over

"""Checkpoints: what a job can resume from, and what answers as a model."""

from __future__ import annotations

from pydantic import Field

from adaptery.schemas.common import Answer, Instant

__all__ = ["Checkpoint"]


class Checkpoint(Answer):
    """A state of training that is kept."""

    id: str
    step: int
    digest: str
    bytes: int
    metrics: dict[str, float | None] | None
    model: str | None = Field(
        default=None, description="its name as a model; null if it cannot be served, or not to you"
    )
    created_at: Instant

"""What ClearML knows of a version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from adaptery.schemas.common import Answer, Instant

__all__ = ["ClearmlLink", "ClearmlTask", "LinkState"]

#: `pending`: ClearML did not answer yet; `failed`: it refused; both are tried again.
LinkState = Literal["linked", "pending", "failed", "not linked"]


class ClearmlLink(Answer):
    """The ClearML Dataset of a version, or why there is none yet."""

    state: LinkState = Field(
        description="`pending`: ClearML did not answer yet; `failed`: it refused; both are tried "
        "again. `not linked`: it will not be."
    )
    dataset: str | None = Field(default=None, description="its id, for `Dataset.get(dataset_id=…)`")
    project: str
    name: str
    version: str
    reason: str | None = Field(default=None, description="why it is not linked")
    next_try_at: Instant | None = None


class ClearmlTask(Answer):
    """The ClearML task that carries a job, or carried it last."""

    task: str = Field(description="its id")
    url: str = Field(description="its page")
    status: str | None = Field(default=None, description="ClearML's word for how it is")
    seen_at: Instant | None = Field(
        default=None, description="when ClearML said so; it is older while ClearML does not answer"
    )

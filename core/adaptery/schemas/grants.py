"""Grants: a right on one thing for one user or group, besides what its owner has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptery.schemas.common import Answer, Instant, Model

__all__ = ["Grant", "GrantPut", "RightWord"]

#: Characters of a Hub name.
PRINCIPAL_LIMIT = 255

#: What someone may do with a thing; each word includes those before it.
RightWord = Literal["use", "view", "edit", "manage"]


class Grant(Answer):
    """A right that somebody was given on a thing."""

    id: str
    principal: str = Field(description="`@user` or `group`")
    kind: str = Field(description="`user`, `group` or `service`")
    right: str
    by: str = Field(description="who gave it, or changed it last")
    created_at: Instant


class GrantPut(Model):
    """Who gets which right; a right that they have from a grant before is replaced."""

    principal: Annotated[str, Field(min_length=1, max_length=PRINCIPAL_LIMIT + 1)] = Field(
        description="`@user`, by slug or exact Hub name, or a group that you are a member of"
    )
    right: RightWord

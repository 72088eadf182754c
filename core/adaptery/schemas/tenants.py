"""Tenants as administrators see them, and what anybody stores: names, states and sizes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptery.schemas.common import Answer, Instant, Model

__all__ = [
    "Move",
    "Reassign",
    "Reassignment",
    "Retention",
    "RetentionKind",
    "Storage",
    "StorageParts",
    "Tenant",
    "TenantKind",
    "TenantPatch",
    "TenantState",
]

QUOTA_LIMIT_BYTES = 2**50  # a pebibyte; canonical JSON holds integers below 2^53
DAYS_LIMIT = 36_500

TenantKind = Literal["user", "group", "service"]
TenantState = Literal["active", "suspended", "expected", "dormant"]


class StorageParts(Answer):
    """What is stored, in bytes, by what it is."""

    drafts: int
    uploads: int  # that are not finished
    versions: int
    checkpoints: int
    adapters: int


class Storage(Answer):
    """What a tenant stores, and how much it may."""

    tenant: str
    used_bytes: int
    #: None: no limit.
    quota_bytes: int | None
    parts: StorageParts


class Tenant(Answer):
    """A tenant: names, states and sizes, nothing that it holds."""

    id: str
    #: How the names of its things begin: `@demo` or `radiology`.
    name: str
    kind: str
    #: Exactly as the Hub spells it; whoever comes after a dormant one has the same.
    hub_name: str
    state: str
    created_at: Instant
    dormant_at: Instant | None
    datasets: int
    jobs: int
    adapters: int
    storage: Storage
    #: What an administrator set for this tenant; None: as the settings say; 0: no limit.
    storage_quota_bytes: int | None
    #: What an administrator set for this tenant; None: as the settings say; 0: for ever.
    retention_days: int | None


class TenantPatch(Model):
    """What an administrator sets for one tenant; null takes it back."""

    storage_quota_bytes: int | None = Field(default=None, ge=0, le=QUOTA_LIMIT_BYTES)
    retention_days: int | None = Field(default=None, ge=0, le=DAYS_LIMIT)
    #: `suspended`: nobody acts as the tenant until it is `active` again. `dormant`, of a group that
    #: JupyterHub made again: the next of its name is another tenant.
    state: Literal["dormant", "suspended", "active"] | None = None


class Reassign(Model):
    """Who gets what a tenant owns."""

    #: `@user` or a group; by name on the Hub, or short name.
    to: Annotated[str, Field(min_length=1, max_length=400)]
    #: Only say what would be moved.
    dry_run: bool = False
    #: Give it to yourself, or to a group that you are a member of; it is a row of the audit.
    break_glass: bool = False


class Move(Answer):
    """One thing that gets another owner; its id stays."""

    kind: Literal["dataset", "job", "adapter"]
    id: str
    name: str
    new_name: str
    bytes: int


class Reassignment(Answer):
    """What was moved, or would be."""

    source: str
    to: str
    dry_run: bool
    datasets: int
    jobs: int
    adapters: int
    #: All that the source stored, its checkpoints and drafts too.
    bytes: int
    #: Whether the caller can read it afterwards, and so has to say `break_glass`.
    needs_break_glass: bool = False
    #: The first of them.
    moves: tuple[Move, ...]


class RetentionKind(Answer):
    """Things of one kind that are kept for so long."""

    kind: Literal["checkpoints", "job_events", "usage", "drafts", "files"]
    #: As the settings say; 0: for ever, or, of files, for as long as each was uploaded for.
    days: int
    #: Whose time is over; of a sweep: that were removed.
    count: int
    bytes: int


class Retention(Answer):
    """What is due to be removed, or was removed just now."""

    dry_run: bool
    kinds: tuple[RetentionKind, ...]
    #: Whether there is more than one sweep removes.
    more: bool

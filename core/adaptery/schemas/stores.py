"""Where published files lie, what was proved of that place, and the erasing of a dataset."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptery.schemas.common import Answer, DigestText, Instant, Model

__all__ = [
    "Access",
    "AccessFile",
    "EraseRequest",
    "Erasure",
    "Remaining",
    "Store",
    "StoreCheck",
    "StoreKind",
    "StoreLevel",
]

StoreKind = Literal["filesystem", "seaweedfs", "s3"]

#: `enforced`: the store itself refuses to change what is published, and the self-test found no way
#: around it. `integrity checked`: a change is noticed before a byte is used, but not prevented.
StoreLevel = Literal["enforced", "integrity checked"]


class StoreCheck(Answer):
    """One attempt of the self-test to break the policy."""

    name: str = Field(description="what was tried, such as `reader: overwrite`")
    held: bool = Field(description="whether the store refused it")
    needed: bool = Field(default=True, description="whether `enforced` needs it")
    found: str = Field(default="", description="what happened, if it was not refused")


class Store(Answer):
    """The object store, and the level of protection that was proved at the last self-test."""

    kind: StoreKind
    level: StoreLevel
    why: str = Field(description="one sentence for people")
    checked_at: Instant | None = Field(default=None, description="null: not tested yet")
    checks: tuple[StoreCheck, ...] = ()
    lock: Literal["governance", "compliance"] | None = Field(
        default=None, description="the object lock that published files get"
    )
    lock_days: int | None = None
    short_lived_access: bool = Field(
        default=False, description="whether `versions/{version}/access` hands out addresses"
    )


class AccessFile(Answer):
    """One file that can be fetched from the store without a credential, for a while."""

    path: str
    url: str
    bytes: int
    digest: DigestText


class Access(Answer):
    """Short-lived addresses of the files of a version; check them against its manifest."""

    version: str
    manifest_digest: DigestText
    expires_at: Instant
    files: tuple[AccessFile, ...]


class EraseRequest(Model):
    """Asks to erase a dataset for good; the name is typed again, as a confirmation."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        description="the full name of the dataset, such as `@demo/visits`"
    )


class Remaining(Answer):
    """Something that erasing does not reach."""

    kind: Literal[
        "adapter", "job", "checkpoint", "merged_version", "locked_object", "clearml", "backup"
    ]
    name: str
    why: str = Field(description="why it stays, and what can be done about it")
    until: Instant | None = Field(default=None, description="when the store lets go of it")


class Erasure(Answer):
    """What the erasing of a dataset destroyed, and what remains."""

    id: str
    dataset: str
    state: Literal["running", "completed"]
    created_at: Instant
    key_destroyed: bool = Field(description="false: there was none, nothing was encrypted")
    records: int = Field(default=0, description="of the draft")
    files: int = Field(default=0, description="originals, as they were uploaded")
    versions: tuple[str, ...] = Field(default=(), description="names; nobody reads them any more")
    objects: int = Field(default=0, description="files of versions that the store gave up")
    bytes: int = Field(default=0, description="of what was removed")
    remains: tuple[Remaining, ...] = ()

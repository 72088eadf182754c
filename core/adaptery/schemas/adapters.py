"""Adapters: LoRA weights for one base model, versioned by the job that made them."""

from __future__ import annotations

from pydantic import Field

from adaptery.adapter_folders import AdapterKind
from adaptery.schemas.common import Answer, Instant, Model

__all__ = ["Adapter", "AdapterChange", "AdapterLimits", "BaseModelCard"]

LIMIT_MAX = 1_000_000_000


class AdapterLimits(Model):
    """What may be asked of an adapter; what is absent has only the administrator's limit."""

    answers: int | None = Field(default=None, ge=1, le=LIMIT_MAX)  # at a time
    requests_per_minute: int | None = Field(default=None, ge=1, le=LIMIT_MAX)
    tokens_per_day: int | None = Field(default=None, ge=1, le=LIMIT_MAX)


class AdapterChange(Model):
    """What its manager changes about an adapter."""

    #: In place of those before.
    limits: AdapterLimits


class Adapter(Answer):
    """An adapter and the digests it came from."""

    id: str
    name: str
    full_name: str
    number: int
    tenant: str
    job: str
    base_model: str
    weight_digest: str
    content_digests: tuple[str, ...]
    #: A reward adapter scores answers: it judges in jobs of stage grpo, and cannot be asked.
    kind: AdapterKind = "chat"
    rank: int
    bytes: int
    sensitivity: str
    right: str
    created_at: Instant
    #: Of its manager; the administrator's hold besides.
    limits: AdapterLimits | None = None
    #: Whether a dataset version that it learnt from is withdrawn or gone; see its provenance.
    withdrawn: bool = False


class BaseModelCard(Answer):
    """A registered base model."""

    id: str
    name: str
    source: str
    weight_digest: str | None
    default: bool
    created_at: Instant

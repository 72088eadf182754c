"""Adapters: LoRA weights for one base model, versioned by the job that made them."""

from __future__ import annotations

from adaptery.schemas.common import Answer, Instant

__all__ = ["Adapter", "BaseModelCard"]


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
    rank: int
    bytes: int
    sensitivity: str
    right: str
    created_at: Instant


class BaseModelCard(Answer):
    """A registered base model."""

    id: str
    name: str
    source: str
    weight_digest: str | None
    default: bool
    created_at: Instant

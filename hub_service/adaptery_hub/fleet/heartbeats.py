"""Reads what an agent says of itself, once its signature was checked.

Lenient: an agent one minor version ahead may say more, and what a field cannot be read as counts as
not said. Not here: signatures (`adaptery.sealed`), what follows from a heartbeat (`live`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptery.abilities import ABILITIES
from adaptery.embedding_models import DIMENSIONS_LIMIT
from adaptery.errors import IntegrityError
from adaptery.schemas.common import DigestText, Instant
from adaptery_hub.fleet.live import BaseModelReport, EmbeddingModelReport, EngineReport, Heartbeat

SLOTS_LIMIT = 256  # workers of one host; more is not believed
_LIST_LIMIT = 2_000  # adapters or attempts of one host


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Slots(_Said):
    workers: int = Field(default=0, ge=0)
    free: int = Field(default=0, ge=0)


class _BaseModel(_Said):
    name: str = Field(min_length=1, max_length=200)
    weight_digest: DigestText


class _EmbeddingModel(_BaseModel):
    dimensions: int = Field(ge=1, le=DIMENSIONS_LIMIT)
    max_tokens: int = Field(ge=1)
    state: str = Field(default="stopped", max_length=20)
    running: int = Field(default=0, ge=0)


class _Engine(_Said):
    state: str = Field(default="stopped", max_length=20)
    running: int = Field(default=0, ge=0)
    waiting: int = Field(default=0, ge=0)
    adapters: list[str] = Field(default=[], max_length=_LIST_LIMIT)
    tokens_per_second: float = Field(default=0.0, ge=0)


class _Beat(_Said):
    agent: str
    seq: int = Field(ge=0)
    at: Instant
    version: str = Field(default="", max_length=40)
    draining: bool = False
    features: list[Annotated[str, Field(max_length=40)]] = Field(default=[], max_length=100)
    abilities: list[Annotated[str, Field(max_length=40)]] | None = Field(
        default=None, max_length=100
    )
    slots: _Slots = _Slots()
    base_models: list[_BaseModel] = Field(default=[], max_length=100)
    preparing: list[Annotated[str, Field(max_length=200)]] = Field(default=[], max_length=100)
    failed_base_models: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[], max_length=100
    )
    embedding_models: list[_EmbeddingModel] = Field(default=[], max_length=100)
    engine: _Engine = _Engine()
    attempts: list[str] = Field(default=[], max_length=_LIST_LIMIT)
    load: dict[str, object] = {}


def read_heartbeat(document: Mapping[str, object]) -> Heartbeat:
    """Returns an opened heartbeat, typed.

    Raises:
        IntegrityError: It is not a heartbeat.
    """
    try:
        beat = _Beat.model_validate(dict(document))
    except ValidationError:
        raise IntegrityError("The heartbeat has missing or unreadable fields.") from None
    engine = beat.engine
    return Heartbeat(
        agent_id=beat.agent,
        seq=beat.seq,
        sent_at=beat.at,
        version=beat.version,
        features=frozenset(beat.features),
        abilities=None if beat.abilities is None else frozenset(ABILITIES) & {*beat.abilities},
        workers=min(beat.slots.workers, SLOTS_LIMIT),
        workers_free=0 if beat.draining else min(beat.slots.free, SLOTS_LIMIT),
        base_models=tuple(BaseModelReport(m.name, m.weight_digest) for m in beat.base_models),
        preparing=frozenset(beat.preparing),
        failed_base_models=frozenset(beat.failed_base_models),
        embedding_models=tuple(
            EmbeddingModelReport(
                m.name, m.weight_digest, m.dimensions, m.max_tokens, m.state, m.running
            )
            for m in beat.embedding_models
        ),
        engine=EngineReport(
            engine.state,
            engine.running,
            engine.waiting,
            frozenset(engine.adapters),
            engine.tokens_per_second,
        ),
        attempts=tuple(beat.attempts),
        load=beat.load,
    )

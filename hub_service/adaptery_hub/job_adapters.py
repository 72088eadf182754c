"""Adapters that a job takes: the one it goes on from, and the one that judges its answers.

Rights, from what each gives away:
- To go on from an adapter takes the right to view it, as its download does: the weights come back
  in an adapter of the caller's own, however little that was trained.
- To be judged by one takes the right to use it: its weights stay with the worker, and its scores
  say no more than its answers would.

Invariants:
- A name, an id and a job that is hidden or not there end in the same error, after one query.
- A job takes only what was trained on the very base weights that it trains on.
- Weights are pinned by their digest; the worker looks at it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from adaptery.errors import (
    FieldProblem,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    SpecError,
)
from adaptery.ids import is_id
from adaptery.names import CheckpointRef, JobRef, ModelRef, NamedRef, parse_model
from adaptery.schemas.common import parse
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.spec import LoraSpec, Stage
from adaptery_hub.database.prepared import Row
from adaptery_hub.database.statements import adapters
from adaptery_hub.database.statements.job_inputs import Role, TakenAdapter
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right
from adaptery_hub.weights import find_weights, pinned_name

_FIELDS: dict[Role, str] = {"start": "start_from", "reward": "reward"}
_HOW = "write name@2, name@2-step100, or the id of an adapter or job"
_RIGHTS: dict[Role, Right] = {"start": Right.VIEW, "reward": Right.USE}


@dataclass(frozen=True)
class JobBase:
    """What a job trains: what its adapters must fit."""

    stage: Stage
    base_model: str
    weight_digest: str | None  # None: no agent has ever reported the base model
    takes_start: bool = True  # whether its task lets it go on from an adapter


def take_adapters(
    connection: Connection, identity: Identity, wanted: JobCreate, base: JobBase
) -> tuple[TakenAdapter, ...]:
    """Returns the adapters that a request names, each pinned.

    Raises:
        NotFoundError: There is no such adapter, or the caller may not use it.
        NotAllowedError: The caller may use an adapter, but not go on from it.
        SpecError: It does not fit the job, or the stage takes none.
    """
    if (base.stage == "grpo") != (wanted.reward is not None):
        reason = "is needed: the judge of the answers" if wanted.reward is None else "is not taken"
        raise _wrong("reward", reason, "name an adapter of stage rm in a job of stage grpo")
    if wanted.start_from is not None and not base.takes_start:
        raise _wrong("start_from", "is not taken by this task", "leave it out, or use another task")
    named: dict[Role, str | None] = {"start": wanted.start_from, "reward": wanted.reward}
    return tuple(
        _take(connection, identity, role, name, base)
        for role, name in named.items()
        if name is not None
    )


def _take(
    connection: Connection, identity: Identity, role: Role, name: str, base: JobBase
) -> TakenAdapter:
    row = _find(connection, identity, _read(_FIELDS[role], name))
    if row is None:
        raise NotFoundError(
            "There is no such adapter, or you may not use it.",
            hint=f"Check the name in {_FIELDS[role]}.",
        )
    if row["right"] < _RIGHTS[role]:
        raise NotAllowedError(
            f"To go on from {pinned_name(row)} needs the right to {_RIGHTS[role].word}, as its "
            "download does.",
            hint="Ask its owner for a grant.",
        )
    _check_fits(row, role, base)
    step = row.get("step")
    return TakenAdapter(
        role=role,
        name=pinned_name(row),
        weight_digest=row["weight_digest"],
        sensitivity=row["sensitivity"],
        content_digests=tuple(row["content_digests"]),
        source_job_id=row["job_id"],
        adapter_id=row["id"] if step is None else None,
        step=step,
        rank=row["rank"],
    )


def check_rank(taken: Sequence[TakenAdapter], spec: Mapping[str, Any]) -> None:
    """Looks whether an adapter has room for the one that it goes on from.

    Raises:
        SpecError: It has a lower rank.
    """
    room = parse(LoraSpec, spec.get("lora", {}), SpecError).rank
    for entry in taken:
        if entry.role == "start" and (entry.rank or 0) > room:
            reason = f"has rank {entry.rank}, more than the {room} of this job"
            raise _wrong(_FIELDS["start"], reason, f"set a rank of {entry.rank} or more")


def _read(where: str, text: str) -> ModelRef | str:
    """Reads what names an adapter: an id, or a model's name."""
    if is_id(text, "ad"):
        return text
    try:
        ref = parse_model(text, ())
    except InvalidInputError as error:
        raise SpecError(errors=[FieldProblem(where, "names no adapter.", _HOW)]) from error
    if not isinstance(ref, JobRef | NamedRef | CheckpointRef):
        raise _wrong(where, "names no single adapter", _HOW)
    return ref


def _find(connection: Connection, identity: Identity, ref: ModelRef | str) -> Row | None:
    if isinstance(ref, str):
        return adapters.find_usable(connection, identity, adapter_id=ref)
    return find_weights(connection, identity, ref)


def _check_fits(row: Row, role: Role, base: JobBase) -> None:
    where = _FIELDS[role]
    kind = "reward" if role == "reward" else "chat"
    learns_to_score = role == "start" and base.stage == "rm"  # from either kind
    if row["kind"] != kind and not learns_to_score:
        remedy = "name one of stage rm" if kind == "reward" else "name one that answers"
        raise _wrong(where, f"is a {row['kind']} adapter", remedy)
    same_name = row["base_model"] == base.base_model
    if not same_name or row["base_weight_digest"] != base.weight_digest:
        reason = f"was trained on {row['base_model']}"
        if same_name:
            reason += " when that had other weights"
        raise _wrong(where, reason, f"name one that was trained on {base.base_model} as it is now")


def _wrong(where: str, reason: str, remedy: str) -> SpecError:
    return SpecError(errors=[FieldProblem(where, reason, remedy)])

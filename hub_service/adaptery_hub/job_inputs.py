"""What a job learns from: versions and the splits of them, and what has to be translated first.

Everything is pinned when a job is submitted. Versions whose records the stage takes go side by
side; those whose records it does not take are translated into one merged version first
(`translations`), if they can be.

Invariants:
- Whoever submits may use every version. To have one translated they may view it: the merged version
  is theirs to read.
- Nothing is learnt from what is withdrawn, or was merged from what is.
- Nobody learns from a validation split: it is an input of its own, where something is held out.
- A version that is named to be held out takes the place of those splits. It is no version that is
  learnt from, is used by the same right, and is translated to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, NotAllowedError, NotFoundError, SpecError
from adaptery.formats import losses
from adaptery.records import Kind
from adaptery.schemas.common import Model, parse
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.spec import EvalSpec, InputSpec, Stage
from adaptery.stages import EVALUATED_STAGES, STAGE_KINDS
from adaptery.times import now
from adaptery_hub.database.statements import versions
from adaptery_hub.database.statements.job_inputs import TakenAdapter
from adaptery_hub.database.statements.jobs import NewInput
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right

#: The split, and the field that names a version to hold out.
_VALIDATION = _HELD_OUT = "validation"


class Translation(Model):
    """What has to happen to a job's versions before it can be queued."""

    kind: Kind
    #: The versions that become records of that kind, in one merged version.
    versions: tuple[str, ...]
    #: All versions of the job, in order.
    order: tuple[str, ...]
    #: What that leaves out.
    lost: tuple[str, ...] = ()
    #: Whether their validation splits are held out.
    holds_out: bool = False
    #: The version that is held out instead.
    validation: str | None = None

    def held_out(self, holds_out: bool) -> Translation:
        """Returns it for a job that holds something out, or not."""
        return self.model_copy(update={"holds_out": holds_out})

    @property
    def datasets(self) -> str:
        """How many datasets are translated, in words."""
        count = len(self.versions)
        return f"{count} dataset{'s' if count > 1 else ''}"

    def __str__(self) -> str:
        what = f"translating {self.datasets} to {self.kind}"
        return f"{what}; left out: {', '.join(self.lost)}" if self.lost else what


@dataclass(frozen=True)
class Chosen:
    """A version that a job learns from."""

    row: RowMapping
    sources: tuple[str, ...]  # content digests of what it was merged from
    where: str  # the field that named it
    held_out: bool = False  # it is evaluated on instead

    @property
    def name(self) -> str:
        """Its pinned name."""
        return versions.full_name(self.row)

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of its records; none are known of a version that an old release published."""
        report = self.row["report"]
        return frozenset(report["kinds"] if report is not None else ())

    @property
    def is_restricted(self) -> bool:
        """Whether it is restricted, or is encrypted because it was."""
        return self.row["sensitivity"] == "restricted" or bool(self.row["counts"].get("encrypted"))

    def specs(self, *, holds_out: bool) -> list[InputSpec]:
        """Returns it as inputs: what is learnt from and, if wanted and there, what is held out."""
        splits = self.row["splits"] or {}
        if self.held_out:
            return [self._spec(_VALIDATION if splits.get(_VALIDATION) else "all")]
        if "train" not in splits:
            return [self._spec("all")]
        held_out = [self._spec(_VALIDATION)] if holds_out and splits.get(_VALIDATION) else []
        return [self._spec("train"), *held_out]

    def _spec(self, split: str) -> InputSpec:
        return InputSpec.model_validate(
            {
                "version": self.row["id"],
                "content_digest": self.row["content_digest"],
                "split": split,
                "split_digest": self.row["split_digest"],
                "sources": self.sources or None,
                "held_out": self.held_out or None,
            }
        )


def choose_versions(connection: Connection, identity: Identity, wanted: JobCreate) -> list[Chosen]:
    """Returns the versions that a request names, each pinned; the one that is held out comes last.

    Raises:
        NotFoundError: There is no such version, or the caller has no right on it.
        NotAllowedError: The caller may see a dataset but not use it.
        SpecError: A version is withdrawn, or was named twice, or is learnt from and held out.
    """
    chosen: list[Chosen] = []
    for number, name in enumerate(wanted.versions):
        where = "dataset" if wanted.datasets is None else f"datasets.{number}"
        row = _resolve(connection, identity, name, where)
        if any(row["id"] == other.row["id"] for other in chosen):
            raise _wrong(where, f"is named twice: {versions.full_name(row)}", "leave it out")
        chosen.append(read_chosen(connection, row, where))
    if wanted.validation is not None:
        row = _resolve(connection, identity, wanted.validation, _HELD_OUT)
        chosen.append(_hold_out(read_chosen(connection, row, _HELD_OUT), chosen))
    return chosen


def _resolve(connection: Connection, identity: Identity, name: str, where: str) -> RowMapping:
    """Returns the row of a version that the caller may use.

    One whose time is over is none: new jobs would keep it from being erased.

    Raises:
        NotFoundError: There is none; the field that names it is said.
        NotAllowedError: The caller may see the dataset but not use it.
    """
    with suppress(NotFoundError):
        row = versions.resolve(connection, identity, name, Right.USE)
        if row["expires_at"] is None or row["expires_at"] > now():
            return row
    raise NotFoundError(
        "There is no such version of a dataset, or you may not use it.",
        hint=f"Check the name in {where}.",
    )


def _hold_out(entry: Chosen, learnt: Sequence[Chosen]) -> Chosen:
    """Returns a version as one that is held out.

    Raises:
        SpecError: What is held out of it is learnt from too.
    """
    splits = entry.row["splits"] or {}
    parted = splits.get("train") and splits.get(_VALIDATION)
    if not parted and any(entry.row["id"] == other.row["id"] for other in learnt):
        remedy = "use another version, or one with a validation split"
        raise _wrong(_HELD_OUT, f"is learnt from too: {entry.name}", remedy)
    return replace(entry, held_out=True)


def read_chosen(connection: Connection, row: RowMapping, where: str = "dataset") -> Chosen:
    """Returns a version as what a job learns from.

    Raises:
        SpecError: It is withdrawn, or was merged from what is.
    """
    name = versions.full_name(row)
    if row["state"] != versions.COMPLETED:
        raise _wrong(where, f"is {row['state']}: {name}", "use another version")
    if row["withdrawn_sources"]:
        reason = f"holds records of versions that are withdrawn: {name}"
        raise _wrong(where, reason, "merge again without them")
    return Chosen(row, tuple(versions.source_digests(connection, row["id"])), where)


def refuse_restricted(chosen: Sequence[Chosen], taken: Sequence[TakenAdapter]) -> None:
    """Looks whether a job takes anything that its queue must not have.

    Raises:
        SpecError: It does.
    """
    guarded = [entry.where for entry in chosen if entry.is_restricted]
    fields = {"start": "start_from", "reward": "reward"}
    guarded += [fields[entry.role] for entry in taken if entry.sensitivity == "restricted"]
    reason = "is restricted, and the queue of this task leads to ClearML"
    remedy = "use a task of another queue, or ask the administrator"
    if guarded:
        raise SpecError(errors=[FieldProblem(where, reason, remedy) for where in guarded])


def input_specs(chosen: Sequence[Chosen], *, holds_out: bool) -> list[InputSpec]:
    """Returns versions as the inputs of a spec, those to learn from first."""
    splits = holds_out and not any(entry.held_out for entry in chosen)
    specs = [spec for entry in chosen for spec in entry.specs(holds_out=splits)]
    return sorted(specs, key=lambda spec: bool(spec.held_out) or spec.split == _VALIDATION)


def as_json(specs: Sequence[InputSpec]) -> list[dict[str, object]]:
    """Returns inputs as a spec has them."""
    return [spec.model_dump(mode="json", exclude_none=True) for spec in specs]


def as_rows(specs: Sequence[InputSpec]) -> tuple[NewInput, ...]:
    """Returns inputs as the tables have them."""
    return tuple(NewInput(spec.version, spec.split, bool(spec.held_out)) for spec in specs)


def holds_out(spec: Mapping[str, object]) -> bool:
    """Whether a frozen spec wants something to evaluate on."""
    wanted = parse(EvalSpec, spec.get("eval", {}), SpecError)
    return wanted.on_the_way or (wanted.examples > 0 and spec["stage"] in EVALUATED_STAGES)


def plan_translation(
    connection: Connection, identity: Identity, chosen: Sequence[Chosen], stage: Stage
) -> Translation | None:
    """Returns what has to be translated for a stage; None if nothing has.

    Raises:
        SpecError: A version has records that the stage cannot learn from in any way, or the one
            that is held out has records that it does not take as they are.
        NotAllowedError: The caller may use a version that has to be translated, but not view it.
    """
    unfit = [entry for entry in chosen if entry.kinds - set(STAGE_KINDS[stage])]
    if held_out := [entry for entry in unfit if entry.held_out]:
        raise SpecError(errors=[_does_not_suit(entry, stage) for entry in held_out])
    if not unfit:
        return None
    lost: dict[Kind, tuple[str, ...]] = {
        kind: found for kind in STAGE_KINDS[stage] if (found := _losses(unfit, kind)) is not None
    }
    if not lost:
        raise SpecError(errors=[_does_not_suit(entry, stage) for entry in unfit])
    kind: Kind = min(lost, key=lambda one: len(lost[one]))
    for entry in unfit:
        _check_viewable(connection, identity, entry, kind)
    return Translation(
        kind=kind,
        versions=tuple(entry.row["id"] for entry in unfit),
        order=tuple(entry.row["id"] for entry in chosen if not entry.held_out),
        lost=lost[kind],
        validation=next((entry.row["id"] for entry in chosen if entry.held_out), None),
    )


def _losses(unfit: Sequence[Chosen], wanted: Kind) -> tuple[str, ...] | None:
    """Returns what some versions lose when they become a kind; None if one cannot."""
    found: list[str] = []
    kinds: set[Kind] = {kind for entry in unfit for kind in entry.kinds}
    for kind in sorted(kinds):
        lost = losses(kind, wanted)
        if lost is None:
            return None
        found += lost
    return tuple(dict.fromkeys(found))


def _check_viewable(connection: Connection, identity: Identity, entry: Chosen, kind: Kind) -> None:
    try:
        versions.get(connection, identity, entry.row["id"], Right.VIEW)
    except NotAllowedError:
        raise NotAllowedError(
            f"{entry.name} has to be translated to {kind} first, which makes a "
            "version that you can read: this needs the right to view it.",
            hint=f"Ask its owner for a grant, or for a version of kind {kind}.",
        ) from None


def _does_not_suit(entry: Chosen, stage: Stage) -> FieldProblem:
    kinds, known = entry.row["report"]["kinds"], STAGE_KINDS[stage]
    others = sorted(set(kinds) - set(known))
    found = ", ".join(f"{kinds[kind]:,} of kind {kind}" for kind in others)
    verb = "be measured on" if entry.held_out else "learn from"
    return FieldProblem(
        where=entry.where,
        reason=f"has records that stage {stage} cannot {verb}: {found}",
        remedy="remove or change them and publish again; it takes "
        f"{' and '.join(sorted(known))} records",
    )


def _wrong(where: str, reason: str, remedy: str) -> SpecError:
    return SpecError(errors=[FieldProblem(where=where, reason=reason, remedy=remedy)])

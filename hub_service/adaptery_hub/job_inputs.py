"""What a job learns from: versions and the splits of them, and what has to be translated first.

Everything is pinned when a job is submitted. Versions whose records the stage takes go side by
side; those whose records it does not take are translated into one merged version first
(`translations`), if they can be.

Invariants:
- Whoever submits may use every version. To have one translated they may view it: the merged version
  is theirs to read.
- Nothing is learnt from what is withdrawn, or was merged from what is.
- Nobody learns from a validation split: it is an input of its own, where something is held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, NotAllowedError, SpecError
from adaptery.formats import losses
from adaptery.records import Kind
from adaptery.schemas.common import Model, parse
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.spec import EvalSpec, InputSpec, Stage
from adaptery.stages import EVALUATED_STAGES, STAGE_KINDS
from adaptery_hub.database.statements import versions
from adaptery_hub.database.statements.job_inputs import TakenAdapter
from adaptery_hub.database.statements.jobs import NewInput
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right

_VALIDATION = "validation"


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
            }
        )


def choose_versions(connection: Connection, identity: Identity, wanted: JobCreate) -> list[Chosen]:
    """Returns the versions that a request names, each pinned.

    Raises:
        NotFoundError: There is no such version, or the caller has no right on it.
        NotAllowedError: The caller may see a dataset but not use it.
        SpecError: A version is withdrawn, or was named twice.
    """
    chosen: list[Chosen] = []
    for number, name in enumerate(wanted.versions):
        where = "dataset" if wanted.datasets is None else f"datasets.{number}"
        row = versions.resolve(connection, identity, name, Right.USE)
        if any(row["id"] == other.row["id"] for other in chosen):
            raise _wrong(where, f"is named twice: {versions.full_name(row)}", "leave it out")
        chosen.append(read_chosen(connection, row, where))
    return chosen


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
    specs = [spec for entry in chosen for spec in entry.specs(holds_out=holds_out)]
    return sorted(specs, key=lambda spec: spec.split == _VALIDATION)


def as_json(specs: Sequence[InputSpec]) -> list[dict[str, object]]:
    """Returns inputs as a spec has them."""
    return [spec.model_dump(mode="json", exclude_none=True) for spec in specs]


def as_rows(specs: Sequence[InputSpec]) -> tuple[NewInput, ...]:
    """Returns inputs as the tables have them."""
    return tuple(NewInput(spec.version, spec.split) for spec in specs)


def holds_out(spec: Mapping[str, object]) -> bool:
    """Whether a frozen spec wants something to evaluate on."""
    wanted = parse(EvalSpec, spec.get("eval", {}), SpecError)
    return wanted.on_the_way or (wanted.examples > 0 and spec["stage"] in EVALUATED_STAGES)


def plan_translation(
    connection: Connection, identity: Identity, chosen: Sequence[Chosen], stage: Stage
) -> Translation | None:
    """Returns what has to be translated for a stage; None if nothing has.

    Raises:
        SpecError: A version has records that the stage cannot learn from in any way.
        NotAllowedError: The caller may use a version that has to be translated, but not view it.
    """
    unfit = [entry for entry in chosen if entry.kinds - set(STAGE_KINDS[stage])]
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
    order = tuple(entry.row["id"] for entry in chosen)
    ids = tuple(entry.row["id"] for entry in unfit)
    return Translation(kind=kind, versions=ids, order=order, lost=lost[kind])


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
            f"{versions.full_name(entry.row)} has to be translated to {kind} first, which makes a "
            "version that you can read: this needs the right to view it.",
            hint=f"Ask its owner for a grant, or for a version of kind {kind}.",
        ) from None


def _does_not_suit(entry: Chosen, stage: Stage) -> FieldProblem:
    kinds, known = entry.row["report"]["kinds"], STAGE_KINDS[stage]
    others = sorted(set(kinds) - set(known))
    found = ", ".join(f"{kinds[kind]:,} of kind {kind}" for kind in others)
    return FieldProblem(
        where=entry.where,
        reason=f"has records that stage {stage} cannot learn from: {found}",
        remedy="remove or change them and publish again; it takes "
        f"{' and '.join(sorted(known))} records",
    )


def _wrong(where: str, reason: str, remedy: str) -> SpecError:
    return SpecError(errors=[FieldProblem(where=where, reason=reason, remedy=remedy)])

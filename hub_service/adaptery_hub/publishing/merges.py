"""Merging versions: the operation, and what it writes.

A merged version has no records of its own: its manifest names the files of its sources and the
recipe. What it comes to is made when somebody reads it; see `merged_cache`.

Invariants:

- Its content digest is over the records in their order and the recipe.
- Whoever merges may view every source at that moment; from then on the merged version is read by
  those who may view its dataset.
- Its dataset is at least as sensitive as each of its sources, from the transaction that makes it.
- Nothing is merged from what is withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError, TooLargeError
from adaptery.manifests import Manifest, ManifestSource, manifest_digest
from adaptery.records import Kind
from adaptery.schemas.common import JsonObject
from adaptery.schemas.datasets import (
    CharacterCounts,
    FileCount,
    PublishRequest,
    Version,
    VersionReport,
)
from adaptery.schemas.lineage import MergeRequest
from adaptery_hub.database import tables
from adaptery_hub.database.statements import lineage
from adaptery_hub.database.statements import versions as statements
from adaptery_hub.identity import Identity
from adaptery_hub.operations import Progress
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.publishing.describing import prefix_of
from adaptery_hub.publishing.folders import (
    ContentTally,
    MergedFrom,
    Report,
    Written,
    finish_folder,
    write_json,
)
from adaptery_hub.publishing.headings import FileFact, Heading
from adaptery_hub.publishing.merged_cache import open_sources
from adaptery_hub.publishing.merging import Merge, Source, merged_digest
from adaptery_hub.publishing.published import PublishedVersions
from adaptery_hub.publishing.publisher import Note, Publisher, VersionWork, strictest
from adaptery_hub.publishing.recipes import RECIPE_NAME, Recipe, RecipeSource
from adaptery_hub.publishing.reports import Tally
from adaptery_hub.publishing.review_state import check_reports
from adaptery_hub.publishing.shards import is_shard
from adaptery_hub.publishing.steps import SMALL_BYTES, run_step

#: Versions that a merged one may reference, with those that its sources reference.
REFERENCES_LIMIT = 500


@dataclass(frozen=True)
class MergePlan:
    """What to merge, and where to write what is said about it."""

    folder: Path
    heading: Heading
    sources: tuple[Source, ...]
    names: tuple[str, ...]  # of the sources, for the report
    max_records: int
    kind: Kind | None
    recipe: JsonObject
    references: Mapping[str, str]
    files: tuple[FileFact, ...]


def make_recipe(wanted: MergeRequest, sources: Sequence[RowMapping]) -> Recipe:
    """Return the recipe of a merge.

    Args:
        wanted: what was asked for.
        sources: the versions that its sources name, in order.
    """
    return Recipe(
        kind=wanted.kind,
        sources=tuple(
            RecipeSource(
                version=row["id"],
                dataset=row["dataset_id"],
                content_digest=row["content_digest"],
                split_digest=row["split_digest"],
                filter=source.filter,
                sample=source.sample,
                weight=source.weight,
                seed=source.seed,
            )
            for source, row in zip(wanted.sources, sources, strict=True)
        ),
    )


def check_sources(rows: Sequence[RowMapping]) -> None:
    """Refuse sources that must not be used any more.

    Raises:
        ConflictError: one is withdrawn or erased, or was merged from one that is.
    """
    for number, row in enumerate(rows):
        if row["state"] != statements.COMPLETED or row["withdrawn_sources"]:
            name = statements.full_name(row)
            reason = (
                f"is {row['state']}."
                if row["state"] != statements.COMPLETED
                else "was merged from versions that are withdrawn."
            )
            raise ConflictError(
                f"{name} {reason}",
                hint="Merge without it.",
                errors=[FieldProblem(f"sources[{number}].version", reason, "Leave it out.")],
            )


def check_may_merge(
    connection: Connection, identity: Identity, dataset_id: str, sources: Sequence[RowMapping]
) -> None:
    """Look whether somebody may still merge these versions into a dataset.

    Raises:
        NotFoundError: a right is gone.
        NotAllowedError: a right is not enough any more.
    """
    fetch(connection, tables.datasets, identity, dataset_id, Right.MANAGE)
    for source in sources:
        fetch(connection, tables.versions, identity, source["id"], Right.VIEW)


def merge_facts(version: Version) -> dict[str, str | int]:
    """Return what is written down of a merge."""
    return {
        "name": version.name,
        "records": version.records,
        "content_digest": version.content_digest or "",
        "sources": ", ".join(version.sources or ()),
    }


class MergeWork(VersionWork):
    """One merge."""

    def __init__(
        self,
        publisher: Publisher,
        published: PublishedVersions,
        dataset: RowMapping,
        creator_id: str,
        wanted: MergeRequest,
        sources: Sequence[RowMapping],
        note: Note,
    ) -> None:
        about = PublishRequest(description=wanted.description)
        super().__init__(publisher, dataset, creator_id, about, note)
        self.inherit([row["sensitivity"] for row in sources])
        self._published = published
        self._sources = sources
        self.recipe = make_recipe(wanted, sources)
        self._manifests: dict[str, Manifest] = {}

    def write(self, progress: Progress, heading: Heading) -> Written:
        """See `VersionWork.write`."""
        blocking = self.publisher.rules.blocking.get(heading.sensitivity, ())
        check_reports(
            [(statements.full_name(row), row["report"]) for row in self._sources], blocking
        )
        opened = open_sources(self.recipe, self._published.content)
        self._manifests = {
            row["id"]: self._published.manifest(prefix_of(row)) for row in self._sources
        }
        plan = MergePlan(
            folder=self.folder,
            heading=heading,
            sources=opened,
            # Not their names: whoever views the merged version may not know the sources.
            names=tuple(row["id"] for row in self._sources),
            max_records=self.publisher.rules.max_records,
            kind=self.recipe.kind,
            recipe=self.recipe.to_json(),
            references={row["id"]: row["content_digest"] for row in self._sources},
            files=tuple(self._file_facts()),
        )
        size = sum(_characters(row) for row in self._sources)
        return run_step(self.publisher.processes, progress, size, write_merged, plan)

    def manifest_fields(self) -> Mapping[str, Any]:
        """See `VersionWork.manifest_fields`."""
        sources = tuple(
            ManifestSource(
                dataset=manifest.dataset,
                version=manifest.version,
                content_digest=manifest.content_digest,
                split_digest=manifest.split_digest,
                manifest_digest=manifest_digest(manifest),
                files=tuple(entry for entry in manifest.files if is_shard(entry.path)),
            )
            for manifest in self._manifests.values()
        )
        return {"recipe": self.recipe.to_json(), "sources": sources}

    def row_fields(self) -> Mapping[str, Any]:
        """See `VersionWork.row_fields`."""
        return {"recipe": self.recipe.to_json()}

    def inserted(self, connection: Connection) -> None:
        """Name the sources, and what they reference in turn; let the dataset inherit.

        Raises:
            ConflictError: a source was withdrawn, or became more sensitive, meanwhile.
        """
        direct = list(dict.fromkeys(row["id"] for row in self._sources))
        now = [statements.find(connection, version_id) for version_id in direct]
        check_sources(now)
        if strictest([self.sensitivity, *(r["sensitivity"] for r in now)]) != self.sensitivity:
            raise ConflictError("A source became more sensitive meanwhile.", hint="Merge again.")
        every = lineage.with_sources(connection, direct)
        if len(every) > REFERENCES_LIMIT:
            raise InvalidInputError(
                f"A merged version may reference at most {REFERENCES_LIMIT} versions.",
                hint="Collate the sources into a draft and publish it instead.",
            )
        statements.insert_sources(connection, self.version_id, every, self._created_at)

    def _file_facts(self) -> list[FileFact]:
        return [
            FileFact(
                path=f"sources/{version_id}/{entry.path}",
                bytes=entry.content.bytes,
                digest=entry.content.digest,
                source=version_id,
            )
            for version_id, manifest in self._manifests.items()
            for entry in manifest.files
            if is_shard(entry.path)
        ]


def _characters(row: RowMapping) -> int:
    """Return how long all text of a version is; files tell less, they are compressed."""
    report = row["report"]
    return SMALL_BYTES + 1 if report is None else int(report["characters"]["total"])


def write_merged(report: Report, plan: MergePlan) -> Written:
    """Write the folder of a merged version; the step that runs in a process of its own.

    Raises:
        InvalidInputError: nothing is left of the sources, or their kinds do not go together.
        TooLargeError: too much is left of them.
    """
    merge, tally, content = Merge(plan.sources, plan.kind), Tally(), ContentTally()
    for merged in merge.records(report):
        if tally.records == plan.max_records:
            raise TooLargeError(
                f"A merged version holds at most {plan.max_records} records.",
                hint="Take a sample of the sources.",
            )
        content.add(merged.row)
        tally.add(merged.kind, merged.length, merged.row.split, None)
    if tally.records == 0:
        raise InvalidInputError(
            "No record of the sources is left.", hint="Loosen the filters or samples."
        )
    write_json(plan.folder / RECIPE_NAME, plan.recipe)
    digest = merged_digest(content, plan.recipe)
    made = _report(merge, tally, plan.names)
    merged_from = MergedFrom(digest, plan.references, plan.files)
    return finish_folder(plan.folder, plan.heading, content, made, merged=merged_from)


def _report(merge: Merge, tally: Tally, names: Sequence[str]) -> VersionReport:
    counts: CharacterCounts = tally.characters()
    return VersionReport(
        draft_records=tally.records + merge.duplicates,
        duplicates_dropped=merge.duplicates,
        kinds=tally.kinds,
        files=tuple(
            FileCount(name=name, records=taken)
            for name, taken in zip(names, merge.taken, strict=True)
        ),
        edits=0,
        characters=counts,
        splits=tally.splits,
        unsplit=tally.unsplit,
        dropped=dict(merge.dropped) or None,
    )

"""Curation of a draft in steps that take long: many edits at once, collations, splits, leaks.

Each waits for its operation, with a bar in notebooks, or a function that is told how far it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

from adaptery.client.drafts import DraftCalls
from adaptery.client.progress import Report
from adaptery.errors import InternalError
from adaptery.ids import is_id
from adaptery.schemas import curation as schemas
from adaptery.schemas.common import parse
from adaptery.schemas.datasets import Operation
from adaptery.schemas.lineage import Split

__all__ = ["CurationCalls"]

#: How long a step is waited for unless told otherwise.
STEP_SECONDS = 3600.0


class Named(Protocol):
    """A dataset or a version."""

    @property
    def id(self) -> str:
        """The opaque id."""
        ...


#: Which records: some of them, or all that a filter lets through.
Which = Sequence[schemas.RecordItem | str] | schemas.RecordFilter


class CurationCalls(DraftCalls):
    """What a dataset can do with many records of its draft."""

    # -- many records -------------------------------------------------------------------------

    def remove_many(
        self,
        which: Which,
        *,
        timeout_seconds: float = STEP_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.BulkResult:
        """Remove many records at once; `undo` brings all of them back.

        Args:
            which: records or their positions, at most 1,000; or a `RecordFilter`, and all that it
                lets through.
            timeout_seconds: how long to wait; the operation goes on afterwards.
            progress: called with what is done and the total, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            ConflictError: if another operation works on the draft.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        return self._bulk("remove", which, None, timeout_seconds, progress)

    def restore_many(
        self,
        records: Sequence[schemas.RecordItem | str],
        *,
        timeout_seconds: float = STEP_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.BulkResult:
        """Bring records back that were removed, as far as the log knows them.

        Args:
            records: records or their positions, at most 1,000.
            timeout_seconds: as for `remove_many`.
            progress: as for `remove_many`.

        Raises:
            ConflictError: if another operation works on the draft.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        return self._bulk("restore", records, None, timeout_seconds, progress)

    def set_split(
        self,
        split: Split | Literal["none"],
        which: Which,
        *,
        timeout_seconds: float = STEP_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.BulkResult:
        """Give records to a split by hand; `none` takes them out of theirs.

        Args:
            split: `train`, `validation`, `test` or `none`.
            which: as for `remove_many`.
            timeout_seconds: as for `remove_many`.
            progress: as for `remove_many`.

        Raises:
            ConflictError: if another operation works on the draft.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        return self._bulk("split", which, split, timeout_seconds, progress)

    # -- collations ---------------------------------------------------------------------------

    def collate(
        self,
        *sources: schemas.CollateSource | Named,
        timeout_seconds: float = STEP_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.CollateResult:
        """Append records of other drafts and versions to the draft.

        Args:
            sources: datasets and versions, or `CollateSource`s that say how much of them is drawn.
            timeout_seconds: how long to wait; the operation goes on afterwards.
            progress: called with what is done and the total, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            InvalidInputError: if a source is more sensitive than this dataset, or holds nothing.
            ConflictError: if another operation works on the draft.
            TooLargeError: if the draft would be full.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        wanted = schemas.CollateRequest(sources=tuple(map(_source, sources)))
        asked = wanted.model_dump(mode="json", exclude_defaults=True)
        result = self._step("collate", asked, "Collating", timeout_seconds, progress)
        made = set(result["sources"])
        taken = tuple(source for source in self.sources() if source.id in made)
        return schemas.CollateResult(records=result["records"], sources=taken)

    def sources(self) -> Iterator[schemas.SourceInfo]:
        """Yield what was collated into the draft, in the order in which it came.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.pages(
            self._path("sources"), schemas.SourceInfo, lambda source: source.id
        )

    def remove_source(self, source: schemas.SourceInfo | str) -> None:
        """Remove a collated source (or its id) and its records from the draft.

        Raises:
            AdapteryError: what the service raised.
        """
        id = source if isinstance(source, str) else source.id
        self._connection.send("DELETE", self._path("sources", id))

    # -- splits -------------------------------------------------------------------------------

    def split(
        self,
        *,
        validation: float = 0.1,
        test: float = 0.0,
        seed: int = 0,
        group_by: str | None = None,
        only_new: bool = False,
        timeout_seconds: float = STEP_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.SplitSummary:
        """Split the draft into train, validation and test; return how many records each has.

        Args:
            validation: share of the records.
            test: share of the records; what is left over is for training.
            seed: the same one gives the same records the same splits.
            group_by: what keeps records together: `file`, `user` (the first user message),
                `system`, `near_duplicates` or a field such as `field:assistant`.
            only_new: whether records that have a split keep it.
            timeout_seconds: how long to wait; the operation goes on afterwards.
            progress: called with what is done and the total, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            InvalidInputError: if nothing is left to train on, or `group_by` is none.
            ConflictError: if another operation works on the draft.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        body = {"validation": validation, "test": test, "seed": seed, "only_new": only_new}
        body |= {"group_by": group_by}
        self._step("splits", body, "Splitting", timeout_seconds, progress)
        return self.splits()

    def splits(self) -> schemas.SplitSummary:
        """Return how the draft is split.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get(self._path("splits"), schemas.SplitSummary)

    def find_leaks(
        self,
        *against: Named,
        similarity: float = 0.8,
        timeout_seconds: float = STEP_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.LeakReport:
        """Look for records on both sides of a split, or in other datasets and versions too.

        Args:
            against: datasets and versions to look into.
            similarity: how alike (Jaccard of 5-character shingles) two records must be at least.
            timeout_seconds: how long to wait; the operation goes on afterwards.
            progress: called with what is done and the total, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            ConflictError: if another operation works on the draft.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        body = {"against": [thing.id for thing in against], "similarity": similarity}
        path = ("splits", "leaks")
        result = self._step(path, body, "Looking for leaks", timeout_seconds, progress)
        return parse(schemas.LeakReport, result, InternalError)

    def leaks(self) -> Iterator[schemas.Leak]:
        """Yield the pairs of records that the last `find_leaks` found.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.pages(self._path("splits", "leaks"), schemas.Leak, lambda p: p.id)

    # -- parts --------------------------------------------------------------------------------

    def _bulk(
        self,
        action: str,
        which: Which,
        split: str | None,
        timeout_seconds: float,
        progress: bool | Report | None,
    ) -> schemas.BulkResult:
        body: dict[str, Any] = {"action": action, "split": split}
        if isinstance(which, schemas.RecordFilter):
            fields = set(schemas.RecordFilter.model_fields)
            body["filter"] = which.model_dump(mode="json", exclude_defaults=True, include=fields)
        else:
            body["records"] = [item if isinstance(item, str) else item.id for item in which]
        path = ("records", "bulk")
        result = self._step(path, body, "Changing records", timeout_seconds, progress)
        return parse(schemas.BulkResult, result, InternalError)

    def _step(
        self,
        path: str | tuple[str, ...],
        body: object,
        title: str,
        timeout_seconds: float,
        progress: bool | Report | None,
    ) -> dict[str, Any]:
        parts = (path,) if isinstance(path, str) else path
        operation = self._connection.post(self._path(*parts), Operation, body)
        return self._waited(operation, title, timeout_seconds, progress)


def _source(source: schemas.CollateSource | Named) -> schemas.CollateSource:
    if isinstance(source, schemas.CollateSource):
        return source
    if is_id(source.id, "dv"):
        return schemas.CollateSource(version=source.id)
    return schemas.CollateSource(dataset=source.id)

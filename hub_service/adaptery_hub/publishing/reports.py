"""The report of a publish: what went into a version, counted while its records pass by.

It holds counts and names of files, never content. Its size does not grow with the draft.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from adaptery.schemas.datasets import CharacterCounts, FileCount, ReviewCount, VersionReport
from adaptery.schemas.lineage import Split

#: Files that one report names.
FILES_LISTED = 100


class Tally:
    """Counts the records that are published."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        # By length: a draft of any size has few different ones.
        self._lengths: Counter[int] = Counter()
        self._splits: Counter[Split | None] = Counter()
        self._languages: Counter[str] = Counter()

    @property
    def records(self) -> int:
        """How many records have passed."""
        return self._kinds.total()

    @property
    def kinds(self) -> dict[str, int]:
        """How many of each kind have passed."""
        return dict(sorted(self._kinds.items()))

    @property
    def splits(self) -> dict[str, int] | None:
        """How many are in each split; None if no record is in one."""
        counts = {split: count for split, count in self._splits.items() if split is not None}
        return dict(sorted(counts.items())) or None

    @property
    def unsplit(self) -> int | None:
        """How many are in no split, where others are in one; None if none are."""
        return self._splits[None] or None if self.splits else None

    @property
    def languages(self) -> dict[str, int] | None:
        """How many are in each language, the most frequent first; None if nobody looked."""
        return dict(self._languages.most_common()) or None

    @property
    def has_whole(self) -> bool:
        """Whether a record is in no split."""
        return None in self._splits

    def add(self, kind: str, length: int, split: Split | None, language: str | None) -> None:
        """Count a record."""
        self._kinds[kind] += 1
        self._lengths[length] += 1
        self._splits[split] += 1
        if language is not None:
            self._languages[language] += 1

    def characters(self) -> CharacterCounts:
        """Return what the lengths of the records are; there must be one."""
        lengths = sorted(self._lengths)
        middle = (self.records + 1) // 2
        passed = accumulate(self._lengths[length] for length in lengths)
        return CharacterCounts(
            min=lengths[0],
            median=next(n for n, count in zip(lengths, passed, strict=True) if count >= middle),
            max=lengths[-1],
            total=sum(length * count for length, count in self._lengths.items()),
        )


def make_report(
    tally: Tally,
    files: Sequence[tuple[str | None, int]],
    names: Mapping[str, str],
    edits: int,
    review: Mapping[str, ReviewCount] | None = None,
    decided: Mapping[str, int] | None = None,
) -> VersionReport:
    """Return the report of a publish.

    Args:
        tally: what was published.
        files: each file of the draft by id, with the records it has there; None: added by hand.
        names: the names of the files; one that was deleted meanwhile is called by its id.
        edits: how many edits by hand stand.
        review: what the review queues held, by queue.
        decided: how many decisions stand, by queue.
    """
    draft_records = sum(count for _, count in files)
    listed = [
        FileCount(name=None if file is None else names.get(file, file), records=count)
        for file, count in files[:FILES_LISTED]
    ]
    return VersionReport(
        draft_records=draft_records,
        duplicates_dropped=draft_records - tally.records,
        kinds=tally.kinds,
        files=tuple(listed),
        files_left_out=len(files) - len(listed),
        edits=edits,
        characters=tally.characters(),
        splits=tally.splits,
        unsplit=tally.unsplit,
        languages=tally.languages,
        review=None if not review else dict(review),
        decided=None if not decided else dict(decided),
    )


def signed_part(report: VersionReport, records: int) -> dict[str, object]:
    """Return what of a report is a file of the version: it goes wherever the version goes."""
    whole = report.model_dump(mode="json", exclude_none=True)
    for inside in ("files", "files_left_out"):  # names of files may be names of people
        del whole[inside]
    return {"report_version": 2, "records": records, **whole}

"""The dataset card of a version: `README.md` as the Hugging Face Hub reads it.

It holds what its owner says of the dataset, and counts; never the content of a record. With it,
`datasets.load_dataset(folder)` finds the splits without a network.

Source: Hugging Face Hub, "Dataset Cards" and "Data files configuration" (huggingface.co/docs/hub).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from adaptery.manifests import UNSPLIT
from adaptery.schemas.datasets import ReviewCount, VersionReport
from adaptery_hub.publishing.headings import Facts
from adaptery_hub.publishing.shards import WHOLE

CARD_NAME = "README.md"
#: Languages that a card names; more would be noise of the detector.
LANGUAGES_NAMED = 20
#: The Hub's own classes of size, by their upper bounds.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_LARGEST = "10M<n<100M"


def write_card(facts: Facts) -> str:
    """Return the card of a version."""
    front = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_body(facts)}"


def data_files(splits: Iterable[str] | None, unsplit: int | None = None) -> list[dict[str, str]]:
    """Return the splits with the pattern of their files; one named `train` if there are none.

    Records that nobody put into a split, beside splits, are in one of their own: readers show each
    record of a version.
    """
    whole = f"data/{WHOLE}-*.parquet"
    if splits is None:
        return [{"split": "train", "path": whole}]
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    return [*files, {"split": UNSPLIT, "path": whole}] if unsplit else files


def _front_matter(facts: Facts) -> dict[str, Any]:
    heading, report = facts.heading, facts.report
    front: dict[str, Any] = {"pretty_name": heading.name, "license": heading.license or "unknown"}
    if report.languages:
        front["language"] = list(report.languages)[:LANGUAGES_NAMED]
    front["size_categories"] = [_size(facts.records)]
    front["tags"] = ["adaptery", *sorted(report.kinds)]
    files = data_files(report.splits, report.unsplit)
    front["configs"] = [{"config_name": "default", "data_files": files}]
    return front


def _size(records: int) -> str:
    return next((name for limit, name in _SIZES if records < limit), _LARGEST)


def _body(facts: Facts) -> str:
    heading, report = facts.heading, facts.report
    parts = [f"# {heading.name}", heading.description.strip()]
    parts.append(_table("What it holds", ("", "records"), _counts(facts)))
    if report.splits:
        parts.append(_table("Splits", ("split", "records"), _splits(report)))
    if report.languages:
        shown = dict(list(report.languages.items())[:LANGUAGES_NAMED])
        parts.append(_table("Languages", ("language", "records"), shown))
    if report.review or report.decided:
        parts.append(_review(report.review or {}, report.decided or {}))
    if report.dropped:
        parts.append(_table("What its translation left out", ("what", "times"), report.dropped))
    parts.append(_provenance(facts))
    return "\n\n".join(part for part in parts if part) + "\n"


def _splits(report: VersionReport) -> Mapping[str, int]:
    unsplit = {f"in no split (`{UNSPLIT}`)": report.unsplit} if report.unsplit else {}
    return {**(report.splits or {}), **unsplit}


def _counts(facts: Facts) -> Mapping[str, int]:
    report = facts.report
    return {
        "in this version": facts.records,
        "exact duplicates left out": report.duplicates_dropped,
        **{f"of kind `{kind}`": count for kind, count in report.kinds.items()},
        "edits by hand": report.edits,
    }


def _review(review: Mapping[str, ReviewCount], decided: Mapping[str, int]) -> str:
    rows = [f"| {queue} | {count.decided} | {count.open} |" for queue, count in review.items()]
    # After these the draft was changed, and not looked through again.
    rows += [
        f"| {queue} | {count} | ? |" for queue, count in decided.items() if queue not in review
    ]
    return "\n".join(
        ["## What was found", "", "| queue | decided | open |", "|---|---:|---:|", *rows]
    )


def _table(title: str, columns: tuple[str, str], rows: Mapping[str, int]) -> str:
    lines = [f"| {name} | {count:,} |" for name, count in rows.items()]
    return "\n".join([f"## {title}", "", f"| {columns[0]} | {columns[1]} |", "|---|---:|", *lines])


def _provenance(facts: Facts) -> str:
    heading = facts.heading
    lines = [
        "## Where it comes from",
        "",
        f"- sensitivity: {heading.sensitivity}",
        f"- content digest: `{facts.content_digest}`",
        f"- published: {heading.created_at:%Y-%m-%d %H:%M} UTC",
        "- `manifest.json` names every file with its digest and is signed; `croissant.json` and "
        "`prov.json` describe the version for machines.",
        "- Each row has `position`, `record_id`, `kind` and `record` (JSON).",
    ]
    if facts.sources is not None:
        lines.append("- It references the files of other versions, by `recipe.json`:")
        lines += [f"  - `{version}` (`{digest}`)" for version, digest in facts.sources.items()]
    return "\n".join(lines)

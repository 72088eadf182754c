"""`adaptery data review`: lets a draft be looked through, and says how each queue is.

Decisions are made where the findings are seen whole: in the Curate view, or from Python. What the
findings hold is written only with `--show`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, cast

from adaptery.connected_commands import WAIT_SECONDS, add_action
from adaptery.terminal import say, say_json, watched
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.client import Dataset, Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.review import Finding, Queue, QueueSummary

__all__ = ["QUEUES", "add"]

#: As in `adaptery.schemas.review`, which is not imported before a command needs it.
QUEUES = ("exact", "near", "phrases", "pii", "quality", "language", "lengths")
#: Findings of one queue that `--show` writes; the rest is counted.
FINDINGS_SHOWN = 20
_TITLES = ("QUEUE", "OPEN, BY RULE", "CHANGED SINCE", "DECIDED", "OPEN")


def add(actions: Subparsers) -> None:
    """Add the command to those of `adaptery data`."""
    parser = add_action(actions, "review", "look a draft through, and count what is open", _review)
    parser.add_argument("name", metavar="NAME", help="the dataset, such as @demo/visits")
    parser.add_argument(
        "--queues",
        nargs="+",
        choices=QUEUES,
        metavar="QUEUE",
        default=(),
        help="default: all but lengths",
    )
    parser.add_argument(
        "--against",
        nargs="+",
        metavar="NAME",
        default=(),
        help="datasets that duplicates are looked for in, too",
    )
    parser.add_argument(
        "--counts", action="store_true", help="look at nothing anew, only say how it is"
    )
    parser.add_argument(
        "--show", action="store_true", help="also write what was found: content of records"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs; no content")


def _review(hub: Hub, arguments: argparse.Namespace) -> None:
    dataset = hub.datasets.get(arguments.name)
    queues = cast("Sequence[Queue]", arguments.queues)
    against = [hub.datasets.get(name).id for name in arguments.against]
    review = (
        dataset.review_state()
        if arguments.counts
        else dataset.review(
            *queues, against=against, timeout_seconds=WAIT_SECONDS, progress=watched()
        )
    )
    shown = [summary for summary in review.queues if not queues or summary.queue in queues]
    if arguments.json:
        say_json([summary.model_dump(mode="json") for summary in shown])
        return
    _tell(shown)
    if "lengths" in queues:
        _tell_lengths(dataset)
    if arguments.show:
        for summary in shown:
            _show(dataset, summary)


def _tell(summaries: Sequence[QueueSummary]) -> None:
    rows = [_row(summary) for summary in summaries if summary.queue != "lengths"]
    if rows:
        for line in aligned([_TITLES, *rows], numbers=2):
            say(line)


def _row(summary: QueueSummary) -> Sequence[object]:
    if summary.analysed_at is None:
        return (summary.queue, "not looked at yet", None, None, None)
    rules = ", ".join(f"{rule} {count:,}" for rule, count in sorted(summary.rules.items()))
    changed = f"{summary.stale:,} records" if summary.stale else "nothing"
    open_ = summary.open + summary.left_out
    return (summary.queue, rules or "-", changed, f"{summary.decided:,}", f"{open_:,}")


def _tell_lengths(dataset: Dataset) -> None:
    found = dataset.lengths()
    guess = ", estimated" if found.tokenizer == "estimate" else ""
    say(
        f"tokens of {found.base_model}{guess}: {found.tokens:,} in {found.records:,} records; "
        f"median {found.median:,}, 95 percent up to {found.p95:,}, longest {found.max:,}"
    )
    say(f"a cutoff of {found.cutoff:,} would cut {found.records_cut:,} records")


def _show(dataset: Dataset, summary: QueueSummary) -> None:
    if summary.queue == "lengths" or not summary.open:
        return
    say(f"\n{summary.queue}:")
    for finding in islice(dataset.findings(summary.queue), FINDINGS_SHOWN):
        say("\n".join(_lines(finding)))
    if summary.open > FINDINGS_SHOWN:
        say(f"... and {summary.open - FINDINGS_SHOWN:,} more; the Curate view has them all")


def _lines(finding: Finding) -> list[str]:
    from adaptery.data_commands.showing import record_lines

    excerpt = finding.excerpt
    if excerpt is not None:
        where = _several(finding) if finding.count > 1 else f"record {finding.records[0].id}"
        found = f"{excerpt.before}[{excerpt.match}]{excerpt.after}".replace("\n", "\n  ")
        return [f"{finding.rule}: {where}", f"  {found}"]
    lines = [f"{finding.rule}: {_several(finding)}"]
    for record in finding.records:
        elsewhere = f" of dataset {record.dataset}" if record.dataset else ""
        lines.append(f"  record {record.id}{elsewhere}")
        lines += [f"  {line}" for line in record_lines(record.record or {})]
    return lines


def _several(finding: Finding) -> str:
    from adaptery.client.words import count_of

    return count_of(finding.count, "record")

"""Pre-flights: what a job would do, told before it is submitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from adaptery.client.connection import Connection
from adaptery.client.listing import card
from adaptery.client.operations import wait_for
from adaptery.client.progress import Report
from adaptery.client.words import duration, size_of
from adaptery.errors import InternalError
from adaptery.schemas.common import JsonObject, parse
from adaptery.schemas.datasets import Operation
from adaptery.schemas.preflight import BatchRow, FirstBatch, PreflightReport, PreflightRequest

__all__ = ["Batch", "Preflight", "preflight", "report_lines"]

PATH = "api/jobs/preflight"
#: What the parts of a text that are learnt stand out by: a colour, and for whoever cannot see it an
#: underline.
LEARNT = "background: #7dd3a8; color: #10251a; text-decoration: underline"


class Preflight:
    """What a job would do, in numbers."""

    def __init__(
        self, connection: Connection, request: PreflightRequest, report: PreflightReport
    ) -> None:
        self._connection = connection
        self._request = request
        self.report = report

    def __repr__(self) -> str:
        return "\n".join(report_lines(self.report))

    def _repr_html_(self) -> str:
        warnings = "".join(
            f"<li><code>{escape(entry.where)}</code> {escape(entry.reason)} "
            f"{escape(entry.remedy)}</li>"
            for entry in self.report.warnings
        )
        told = f"<ul>{warnings}</ul>" if warnings else "<p>Nothing is odd.</p>"
        return card("Pre-flight", report_facts(self.report)) + told

    def first_batch(self) -> Batch:
        """Return the first batch of the job, token by token; shown in a notebook it is coloured.

        Raises:
            NotAllowedError: if the caller may use a dataset but not view it.
            AdapteryError: what the service raised.
        """
        found = self._connection.post(f"{PATH}/batch", FirstBatch, _sent(self._request))
        return Batch(found.rows)


class Batch(Sequence[BatchRow]):
    """The first batch of a job."""

    def __init__(self, rows: Sequence[BatchRow]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> BatchRow:  # type: ignore[override] - no slices
        return self._rows[place]

    def __repr__(self) -> str:
        return "\n\n".join(f"{_place(row)}: {_marked(row)}" for row in self._rows)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="vertical-align: top">{escape(_place(row))}</th>'
            f'<td style="text-align: left; white-space: pre-wrap">{_coloured(row)}</td></tr>'
            for row in self._rows
        )
        legend = f'<p><span style="{LEARNT}">Learnt</span>, and what is only read.</p>'
        return f'<div class="mathjax_ignore">{legend}<table>{rows}</table></div>'


def preflight(
    connection: Connection,
    fields: JsonObject,
    *,
    timeout_seconds: float,
    progress: Report | None = None,
) -> Preflight:
    """Ask what a job would do, and wait for the answer.

    Raises:
        DeadlineError: if it is still counted at the end of the time.
        AdapteryError: what the service raised.
    """
    request = parse(PreflightRequest, fields)
    begun = connection.post(PATH, Operation, _sent(request))
    done = wait_for(connection, begun, timeout_seconds=timeout_seconds, progress=progress)
    if done.result is None:
        raise InternalError()
    return Preflight(connection, request, PreflightReport.model_validate(done.result))


def report_facts(report: PreflightReport) -> list[tuple[str, object]]:
    """Return what a report says, in words."""
    left_out = report.dropped_cut + report.dropped_empty
    seconds, memory = report.seconds, report.memory_bytes
    span = _span(seconds.low, seconds.high)
    need = "not known" if memory.need is None else size_of(memory.need)
    held_out = f", {report.held_out:,} held out" if report.held_out else ""
    return [
        ("Base model, template", f"{report.base_model}, {report.template}"),
        ("Examples", f"{report.examples:,} of {report.records:,} records{held_out}"),
        ("Cut, left out", f"{report.cut:,}, {left_out:,}"),
        ("Tokens of an epoch", f"{report.tokens:,}, of these learnt {report.target_tokens:,}"),
        ("Longest, mean", f"{report.longest:,}, {report.mean:,.0f} tokens"),
        ("Padding", f"{report.padding_share:.1%} of what is computed"),
        ("Steps", f"{report.steps:,}, {report.steps_per_epoch:,} an epoch"),
        ("Time", f"{span} ({seconds.basis})"),
        ("Memory", f"{need} of {size_of(memory.limit)} ({memory.basis})"),
        ("Disk", "not known" if report.disk_bytes is None else size_of(report.disk_bytes)),
    ]


def _span(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "not known"
    first, last = duration(low), duration(high)
    return f"about {first}" if first == last else f"{first} to {last}"


def report_lines(report: PreflightReport) -> Iterator[str]:
    """Yield a report for a terminal, its warnings last."""
    facts = report_facts(report)
    width = max(len(name) for name, _ in facts)
    yield from (f"{name:<{width}}  {value}" for name, value in facts)
    for entry in report.warnings:
        yield f"! {entry.where}: {entry.reason} {entry.remedy}".rstrip()


def _sent(request: PreflightRequest) -> dict[str, object]:
    return request.model_dump(exclude_none=True)


def _runs(row: BatchRow) -> Iterator[tuple[bool, str]]:
    """Yield the text of a row in pieces that are learnt, or not."""
    text, learnt = "", False
    for token in row.tokens:
        if (token.weight > 0) != learnt and text:
            yield learnt, text
            text = ""
        learnt = token.weight > 0
        text += token.text
    if text:
        yield learnt, text


def _place(row: BatchRow) -> str:
    """Return which record a row is made of."""
    return f"record {row.record}" + (f" of {row.dataset}" if row.dataset else "")


def _marked(row: BatchRow) -> str:
    if not row.shown:
        return "(too long to show)"
    text = "".join(f"[[{piece}]]" if learnt else piece for learnt, piece in _runs(row))
    return f"{text} (cut)" if row.cut else text


def _coloured(row: BatchRow) -> str:
    if not row.shown:
        return "<em>too long to show</em>"
    pieces = "".join(
        f'<span style="{LEARNT}">{escape(piece)}</span>' if learnt else escape(piece)
        for learnt, piece in _runs(row)
    )
    return f"{pieces} <em>cut</em>" if row.cut else pieces

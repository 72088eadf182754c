"""`api/usage`: what requests cost, as JSON or CSV."""

from __future__ import annotations

from collections.abc import Iterable

from adaptery.csv_text import csv_lines
from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.schemas.common import Page
from adaptery.schemas.usage import UsageOf, UsageRow
from adaptery.times import now
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.filters import RANGE_QUERY, id_of, range_of
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.usage_reports import UsageReport, report_of

#: Rows of a CSV that are read at a time.
CSV_ROWS = 1000
#: Characters of `by`: more than all of its words have.
BY_CHARACTERS = 100
_OF: tuple[UsageOf, ...] = ("mine", "adapters", "everyone")
_CSV = "text/csv"


class UsageHandler(Handler):
    """Usage of the caller, of what the caller manages, or of everyone."""

    async def get(self) -> None:
        """Tell what requests cost together."""
        after, limit = self.page()
        report = self._report()
        self.hold(self.services.reports)
        if self._wants_csv():
            await self._answer_csv(report, after)
        else:
            rows = await self._rows(report, after, limit)
            self.answer_page(rows, limit)

    async def _rows(self, report: UsageReport, after: str | None, limit: int) -> list[UsageRow]:
        return await self.services.db.read(lambda c: report.rows(c, after, limit))

    async def _answer_csv(self, report: UsageReport, after: str | None) -> None:
        rows = await self._rows(report, after, CSV_ROWS)
        self.set_header("Content-Type", f"{_CSV}; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="usage.csv"')
        self.write(csv_lines([report.columns]))
        while rows:
            self.write(_csv(report, rows[:CSV_ROWS]))
            await self.flush()  # a slow reader makes us wait, not grow
            if len(rows) <= CSV_ROWS:
                break
            await self.authenticate()  # as for a page of its own
            report = self._report()
            rows = await self._rows(report, rows[CSV_ROWS - 1].id, CSV_ROWS)
        self.finish()

    def _report(self) -> UsageReport:
        since, until = range_of(self)
        return report_of(
            self.identity,
            self.one_of("of", _OF) or "mine",
            self._by(),
            since,
            until,
            now(),
            adapter_id=id_of(self, "adapter", "ad"),
            key_id=id_of(self, "key", "ak"),
        )

    def _by(self) -> list[str]:
        text = self.query("by", "day") or "total"
        if len(text) > BY_CHARACTERS:
            problem = FieldProblem("by", "is too long.", "Name each word once.")
            raise InvalidInputError(errors=[problem])
        return text.split(",")

    def _wants_csv(self) -> bool:
        asked = self.one_of("format", ("json", "csv"))
        accepted = self.request.headers.get("Accept", "").partition(",")[0].partition(";")[0]
        return asked == "csv" or (asked is None and accepted.strip().lower() == _CSV)


def _csv(report: UsageReport, rows: Iterable[UsageRow]) -> str:
    return csv_lines([getattr(row, name) for name in report.columns] for row in rows)


ROUTES = [
    Route(
        "api/usage",
        UsageHandler,
        {
            "GET": Operation(
                "read|infer",
                "What requests cost, added up: mine, of the adapters that I manage, or (for "
                "administrators) of everyone. JSON, or CSV if `Accept` names it first.",
                response=Page[UsageRow],
                or_media=("text/csv",),
                query={
                    **PAGE_QUERY,
                    **RANGE_QUERY,
                    "of": "`mine` (default), `adapters` (those I manage: how much, by the day, not "
                    "by whom) or `everyone` (for administrators).",
                    "by": "What is told apart, joined by commas: `day` (default), `hour`, `key`, "
                    "`adapter`, `base_model`, `kind`, `channel`; of everyone also `user` and "
                    "`owner`; or `total`.",
                    "adapter": "Only with this adapter: an id.",
                    "key": "Only by this own key: an id.",
                    "format": "`csv`, or `json` (default); a CSV has all pages.",
                },
            )
        },
    )
]

"""`api/datasets/{dataset}/splits`: train, validation and test, and what leaks between them."""

from __future__ import annotations

from typing import cast

from sqlalchemy.engine import RowMapping

from adaptery.schemas.common import parse
from adaptery.schemas.curation import (
    Leak,
    LeakPage,
    LeakReport,
    LeakRequest,
    LeakSide,
    SplitCount,
    SplitRequest,
    SplitSummary,
)
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.schemas.lineage import Split
from adaptery_hub.curation import Outcome, Run, find_leaks, keep_leaks, split
from adaptery_hub.drafts import Draft, LeakPair, Leaks
from adaptery_hub.handlers.collate import OriginHandler, viewable
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import parse_position
from adaptery_hub.permissions import Right
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

_ORDER: tuple[Split | None, ...] = ("train", "validation", "test", None)


class SplitsHandler(OriginHandler):
    """The splits of a draft."""

    async def get(self, dataset: str) -> None:
        """Answer how the draft is split."""
        self.check_query()
        await self.authorise(dataset, Right.VIEW)
        self.answer(await self.services.drafts.read(dataset, _summary))

    async def post(self, dataset: str) -> None:
        """Begin to split the draft."""
        self.check_query()
        wanted = self.body(SplitRequest)
        await self.authorise(dataset, Right.EDIT)
        await self.check_storage()

        def run(run: Run) -> Outcome:
            run.hold()
            return run.step(split, wanted)

        work = self.work(dataset, "dataset.split", run)
        row = await self.begin("split", dataset, work, quick=False)
        self.answer(describe_operation(row, self.services.operations))


class LeaksHandler(OriginHandler):
    """Records on both sides of a split, or in another dataset too."""

    async def get(self, dataset: str) -> None:
        """Page through what the last check found."""
        after, limit = self.page()
        position = parse_position(after, "after")
        await self.authorise(dataset, Right.VIEW)
        sources = await self.services.drafts.read(dataset, lambda d: Leaks(d.connection).sources())
        seen = await self.services.db.read(lambda c: viewable(c, self.identity, sources))
        hidden = set(sources) - seen
        pairs, report = await self.services.drafts.read(
            dataset,
            lambda d: (
                Leaks(d.connection).page(position, limit + 1, hidden),
                d.noted("leaks"),
            ),
        )
        self.answer(
            LeakPage(
                items=tuple(map(_describe, pairs[:limit])),
                has_more=len(pairs) > limit,
                report=None if report is None else _without(parse(LeakReport, report), hidden),
            )
        )

    async def post(self, dataset: str) -> None:
        """Begin to look for leaks."""
        self.check_query()
        wanted = self.body(LeakRequest)
        await self.authorise(dataset, Right.EDIT)
        rows = await self.find_origins(list(dict.fromkeys(wanted.against)), dataset, "against")
        row = await self._begin(dataset, rows, wanted.similarity)
        self.answer(describe_operation(row, self.services.operations))

    async def _begin(self, dataset: str, rows: list[RowMapping], similarity: float) -> RowMapping:
        def run(run: Run) -> Outcome:
            found = run.step(find_leaks, [self.origin(row) for row in rows], similarity)
            run.hold()
            return keep_leaks(run.target, found)

        ids = [row["id"] for row in rows]
        work = self.work(dataset, "dataset.leaks", run)
        return await self.begin(
            "leaks", dataset, work, quick=False, may=lambda c: self.still(c, ids)
        )


def _summary(draft: Draft) -> SplitSummary:
    counts, total = draft.splits(), draft.count()
    noted = draft.noted("split") or {}
    return SplitSummary(
        splits=tuple(
            SplitCount(split=name, records=counts[name], share=counts[name] / total)
            for name in _ORDER
            if name in counts
        ),
        recipe=noted.get("recipe"),
        groups=noted.get("groups"),
    )


def _describe(pair: LeakPair) -> Leak:
    return Leak(
        id=str(pair.number),
        kind=pair.kind,
        here=LeakSide(source=None, id=str(pair.position), split=pair.split),
        there=LeakSide(
            source=pair.source, id=str(pair.other), split=cast("Split | None", pair.other_split)
        ),
        similarity=pair.similarity,
    )


def _without(report: LeakReport, hidden: set[str]) -> LeakReport:
    """Return the report without what it says of things that the caller may not view."""
    counts = tuple(count for count in report.counts if count.source not in hidden)
    return report.model_copy(update={"counts": counts})


ROUTES = [
    Route(
        "api/datasets/{dataset}/splits",
        SplitsHandler,
        {
            "GET": Operation(
                "read",
                "How many records each split has, and how it was made.",
                response=SplitSummary,
            ),
            "POST": Operation(
                "write",
                "Split the draft into train, validation and test: seeded, grouped by a key.",
                request=SplitRequest,
                response=OperationAnswer,
                status=202,
            ),
        },
    ),
    Route(
        "api/datasets/{dataset}/splits/leaks",
        LeaksHandler,
        {
            "GET": Operation(
                "read",
                "Records on both sides of a split or in other datasets too, by the last check.",
                response=LeakPage,
                query=PAGE_QUERY,
            ),
            "POST": Operation(
                "write",
                "Look for records that leak between splits, and from other datasets and versions.",
                request=LeakRequest,
                response=OperationAnswer,
                status=202,
            ),
        },
    ),
]

"""`api/datasets/{dataset}/review`: queues of findings, and decisions about them.

Who may view the draft sees what was found in it. What was found in another dataset is shown, and
counted, only for whom may view that one as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from sqlalchemy.engine import Connection

from adaptery.errors import FieldProblem, InvalidInputError, NotFoundError
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.schemas.review import (
    QUEUES,
    Decided,
    DecisionRequest,
    DecisionResult,
    Finding,
    FindingPage,
    FindingState,
    Lengths,
    LengthsRequest,
    Queue,
    QueueSummary,
    Review,
    ReviewOptions,
    ReviewRequest,
    UndoRequest,
    UndoResult,
)
from adaptery_hub.database import tables
from adaptery_hub.database.statements import datasets as statements
from adaptery_hub.database.statements import tenants
from adaptery_hub.drafts import Draft, DraftRecord
from adaptery_hub.drafts.findings import QueueState
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import DraftHandler
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.review.analysis import AnalysisOrder
from adaptery_hub.review.decisions import (
    DecisionOrder,
    UndoOrder,
    check_decision,
    check_like,
    decide,
    takes_long,
    undo,
)
from adaptery_hub.review.lengths import LengthsOrder, summarise
from adaptery_hub.review.names import read_names
from adaptery_hub.review.showing import (
    Page,
    Shown,
    finding_key,
    others_of,
    show_page,
    with_others,
)
from adaptery_hub.review.work import AnalysisWork, DecisionWork, describe_outcome, describe_undone
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

#: A decision about more records than these is carried out as an operation.
AT_ONCE = 500
STATES: tuple[FindingState, ...] = get_args(FindingState)
CUTOFF_DEFAULT = 2048
CUTOFF_DIGITS = 8

_REVIEW = "api/datasets/{dataset}/review"


class _ReviewHandler(DraftHandler):
    async def seen_sources(self, dataset: str) -> frozenset[str]:
        """Return the other datasets with findings that the caller may view; authorise first."""
        found = await self.services.drafts.read(dataset, lambda d: d.findings.sources())
        return await self.services.db.read(
            lambda c: frozenset(statements.viewable(c, self.identity, found))
        )

    async def more_names(self) -> frozenset[str]:
        """Return the names of people that the deployment adds."""
        path = self.services.settings.pii_names_file
        return await asyncio.to_thread(read_names, Path(path)) if path else frozenset()


class ReviewHandler(_ReviewHandler):
    """The review of a draft."""

    async def get(self, dataset: str) -> None:
        """Answer how each queue is."""
        self.check_query()
        await self.authorise(dataset, Right.VIEW)
        sources = await self.seen_sources(dataset)
        states = await self.services.drafts.read(
            dataset, lambda d: [d.findings.state(queue, sources) for queue in QUEUES]
        )
        self.answer(Review(queues=tuple(map(_describe_state, QUEUES, states))))

    async def post(self, dataset: str) -> None:
        """Begin to fill queues anew."""
        self.check_query()
        asked = self.body(ReviewRequest)
        await self.authorise(dataset, Right.EDIT)
        drafts = self.services.drafts
        await self._check_others(dataset, asked.against)
        order = AnalysisOrder(
            drafts.path(dataset),
            drafts.max_records,
            tuple(dict.fromkeys(queue for queue in asked.queues if queue != "lengths")),
            asked.options,
            await self.more_names(),
            tuple((other, drafts.path(other)) for other in dict.fromkeys(asked.against)),
        )
        lengths = await self.lengths_order(dataset, None) if "lengths" in asked.queues else None
        await self.start(dataset, order, lengths)

    async def start(self, dataset: str, order: AnalysisOrder, lengths: LengthsOrder | None) -> None:
        """Begin an analysis and answer its operation."""
        services = self.services
        queues = [*order.queues, *(["lengths"] if lengths else [])]

        def note(connection: Connection, _: Mapping[str, object]) -> None:
            self.audit(connection, "review.analyse", dataset, queues=", ".join(queues))

        work = AnalysisWork(services.drafts, services.processes, dataset, note, order, lengths)
        others = [other for other, _ in order.against]
        row = await services.operations.start(
            self.identity, "review", dataset, work, may=self._may(dataset, others)
        )
        self.answer(describe_operation(row, services.operations), 202)

    async def lengths_order(self, dataset: str, model: str | None) -> LengthsOrder:
        """Return how to count tokens.

        Raises:
            InvalidInputError: there is no such base model.
        """
        settings, drafts = self.services.settings, self.services.drafts
        name = model or settings.default_base_model
        if name not in settings.base_models:
            known = ", ".join(settings.base_models) or "none"
            problem = FieldProblem("base_model", "is not known here.", f"Known here: {known}.")
            raise InvalidInputError(errors=[problem])
        found = await asyncio.to_thread(self.services.tokenizers.of, name)
        path = None if found is None else found.path
        return LengthsOrder(drafts.path(dataset), drafts.max_records, name, path)

    async def _check_others(self, dataset: str, against: tuple[str, ...]) -> None:
        """Refuse other datasets that the caller may not view.

        Raises:
            NotFoundError: the caller has no right on one, or there is none.
            NotAllowedError: the caller has a lesser right on one.
            InvalidInputError: one is the dataset itself.
        """
        if dataset in against:
            problem = FieldProblem("against", "names the dataset itself.", "Name others.")
            raise InvalidInputError(errors=[problem])

        await self.services.db.read(self._may(dataset, against))

    def _may(self, dataset: str, against: Sequence[str]) -> Callable[[Connection], None]:
        """Return what asks whether the caller may compare the draft with others."""
        identity = self.identity

        def check(connection: Connection) -> None:
            fetch(connection, tables.datasets, identity, dataset, Right.EDIT)
            for other in against:
                fetch(connection, tables.datasets, identity, other, Right.VIEW)

        return check


class LengthsHandler(ReviewHandler):
    """How long the records are in tokens."""

    async def get(self, dataset: str) -> None:
        """Answer the histogram, and what a cutoff takes."""
        self.check_query()
        cutoff = self._cutoff()
        await self.authorise(dataset, Right.VIEW)
        self.answer(await self.services.drafts.read(dataset, lambda d: summarise(d, cutoff)))

    async def post(self, dataset: str) -> None:
        """Begin to count the tokens of the records."""
        self.check_query()
        asked = self.body(LengthsRequest)
        await self.authorise(dataset, Right.EDIT)
        drafts = self.services.drafts
        nothing = AnalysisOrder(drafts.path(dataset), drafts.max_records, (), ReviewOptions())
        await self.start(dataset, nothing, await self.lengths_order(dataset, asked.base_model))

    def _cutoff(self) -> int:
        text = self.query("cutoff", str(CUTOFF_DEFAULT)) or ""
        if not (text.isascii() and text.isdigit() and len(text) < CUTOFF_DIGITS and int(text)):
            problem = FieldProblem("cutoff", "is no number of tokens.", "Use 1 or more.")
            raise InvalidInputError(errors=[problem])
        return int(text)


class QueueHandler(_ReviewHandler):
    """One queue."""

    async def get(self, dataset: str, queue: str) -> None:
        """Page through the findings."""
        after, limit = self.page()
        state = self.one_of("state", STATES) or "open"
        rule = self.query("rule")
        await self.authorise(dataset, Right.VIEW)
        page = Page(
            parse_queue(queue),
            state,
            rule,
            _parse_after(after),
            limit + 1,
            await self.seen_sources(dataset),
            await self.more_names(),
        )
        shown, total = await self.services.drafts.search(
            self.identity.tenant_id, dataset, lambda d: show_page(d, page)
        )
        shown = await self._with_others(shown)
        self.answer_page(await self._named(shown), limit, total)

    async def _with_others(self, shown: list[Shown]) -> list[Shown]:
        """Fill in records of other datasets; the caller may view these."""
        found: dict[tuple[str, int], DraftRecord | None] = {}
        for source, positions in others_of(shown).items():
            try:
                items = await self.services.drafts.read(source, _finder(positions))
            except NotFoundError:
                continue
            found |= {(source, position): item for position, item in items.items()}
        return [with_others(item, found) for item in shown]

    async def _named(self, shown: list[Shown]) -> list[Finding]:
        editors = {item.decision.editor for item in shown if item.decision is not None}
        rows = await self.services.db.read(lambda c: tenants.get_many(c, list(editors)))
        names = {row["id"]: f"@{row['slug']}" for row in rows}
        return [
            item.finding
            if item.decision is None
            else item.finding.model_copy(
                update={
                    "decided": Decided(
                        decision=item.decision.decision,
                        by=names.get(item.decision.editor, "@"),
                        at=item.decision.at,
                        batch=None if item.decision.edit is None else str(item.decision.edit),
                    )
                }
            )
            for item in shown
        ]


class _DecidingHandler(_ReviewHandler):
    async def carry_out(
        self,
        dataset: str,
        order: DecisionOrder | UndoOrder,
        step: Callable[[Draft], dict[str, object]],
        schema: type[DecisionResult] | type[UndoResult],
    ) -> None:
        """Do a step on the draft and answer it: at once, or as an operation if it is large."""
        services = self.services

        def note(connection: Connection, result: Mapping[str, object]) -> None:
            counts = {name: value for name, value in result.items() if isinstance(value, int)}
            told = {"queue": order.queue, **counts}
            if isinstance(order, UndoOrder):
                self.audit(connection, "review.undo", dataset, **told)
            else:
                self.audit(connection, "review.decide", dataset, decision=order.decision, **told)

        if await services.drafts.read(dataset, lambda d: takes_long(d, order, AT_ONCE)):
            await services.storage.check(self._owner)
            work = DecisionWork(services.drafts, services.processes, dataset, note, order)
            identity = self.identity
            row = await services.operations.start(
                identity,
                "decide",
                dataset,
                work,
                may=lambda c: fetch(c, tables.datasets, identity, dataset, Right.EDIT),
            )
            self.answer(describe_operation(row, services.operations), 202)
            return
        with await self.room():
            result = await services.drafts.write(dataset, step)
            await self.touch(dataset)
        await services.db.write(lambda c: note(c, result))
        self.answer(schema.model_validate(result))


class DecisionsHandler(_DecidingHandler):
    """Decisions about the findings of one queue."""

    async def post(self, dataset: str, queue: str) -> None:
        """Decide, at once or, about many records, as an operation."""
        self.check_query()
        asked = self.body(DecisionRequest)
        await self.authorise(dataset, Right.EDIT)
        name = parse_queue(queue)
        check_decision(name, asked.decision)
        order = DecisionOrder(
            name,
            asked.decision,
            self.identity.tenant_id,
            None if asked.findings is None else tuple(map(finding_key, asked.findings)),
            None if asked.all_like is None else finding_key(asked.all_like),
            asked.rule,
            asked.replacement,
            frozenset(map(int, asked.keep)),
            asked.forget,
            await self.seen_sources(dataset),
            await self.more_names(),
        )
        check_like(order)
        await self.carry_out(
            dataset, order, lambda d: describe_outcome(decide(d, order)), DecisionResult
        )


class UndoDecisionHandler(_DecidingHandler):
    """Undoing a decision."""

    async def post(self, dataset: str, queue: str) -> None:
        """Take back the caller's newest decision in the queue."""
        self.check_query()
        self.body(UndoRequest)
        await self.authorise(dataset, Right.EDIT)
        order = UndoOrder(parse_queue(queue), self.identity.tenant_id, await self.more_names())
        await self.carry_out(dataset, order, lambda d: describe_undone(undo(d, order)), UndoResult)


def parse_queue(text: str) -> Queue:
    """Return a queue of findings.

    Raises:
        NotFoundError: there is none of this name.
    """
    for queue in QUEUES:
        if queue == text and queue != "lengths":
            return queue
    raise NotFoundError("There is no such queue.", hint=f"There are {', '.join(QUEUES)}.")


def _parse_after(text: str | None) -> int | None:
    if text is None:
        return None
    if len(text) != 16 or not set(text) <= set("0123456789abcdef"):
        problem = FieldProblem("after", "is no finding.", "Use the id of the last one you saw.")
        raise InvalidInputError(errors=[problem])
    return finding_key(text)


def _finder(positions: list[int]) -> Callable[[Draft], dict[int, DraftRecord | None]]:
    def find(draft: Draft) -> dict[int, DraftRecord | None]:
        return {position: draft.find(position) for position in positions}

    return find


def _describe_state(queue: Queue, state: QueueState) -> QueueSummary:
    return QueueSummary(
        queue=queue,
        analysed_at=state.analysed_at,
        open=state.open,
        decided=state.decided,
        stale=state.stale,
        rules=dict(state.rules),
        left_out=state.details.get("left_out", 0),
        languages=state.details.get("languages", {}),
        options=None if state.options is None else dict(state.options),
    )


_QUEUE = f"{_REVIEW}/{{queue}}"

ROUTES = [
    Route(
        _REVIEW,
        ReviewHandler,
        {
            "GET": Operation("read", "How each review queue of the draft is.", response=Review),
            "POST": Operation(
                "write",
                "Fill review queues anew; decisions that were made stay.",
                request=ReviewRequest,
                response=OperationAnswer,
                status=202,
            ),
        },
    ),
    Route(
        f"{_REVIEW}/lengths",
        LengthsHandler,
        {
            "GET": Operation(
                "read",
                "How long the records are in tokens of a base model, and what a cutoff takes.",
                response=Lengths,
                query={"cutoff": f"Tokens of one record; {CUTOFF_DEFAULT} if left out."},
            ),
            "POST": Operation(
                "write",
                "Count the tokens of the records by a base model.",
                request=LengthsRequest,
                response=OperationAnswer,
                status=202,
            ),
        },
    ),
    Route(
        _QUEUE,
        QueueHandler,
        {
            "GET": Operation(
                "read",
                "Findings of a queue, with the records that they are about.",
                response=FindingPage,
                query={
                    **PAGE_QUERY,
                    "state": f"One of {', '.join(STATES)}; the first if left out.",
                    "rule": "Only findings of this rule: a kind, flag or language.",
                },
            )
        },
    ),
    Route(
        f"{_QUEUE}/decisions",
        DecisionsHandler,
        {
            "POST": Operation(
                "write",
                "Decide about findings; about many records, by an operation with this result.",
                request=DecisionRequest,
                response=DecisionResult,
                or_status=(202,),
            )
        },
    ),
    Route(
        f"{_QUEUE}/undo",
        UndoDecisionHandler,
        {
            "POST": Operation(
                "write",
                "Take back your newest decision in a queue, with all that it changed.",
                request=UndoRequest,
                response=UndoResult,
                or_status=(202,),
            )
        },
    ),
]

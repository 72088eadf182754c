"""The review of a draft: let it be analysed, look at what was found, decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from adaptery.client.connection import checked
from adaptery.client.drafts import DraftCalls
from adaptery.client.progress import Report
from adaptery.errors import InternalError
from adaptery.schemas import review as schemas
from adaptery.schemas.common import parse
from adaptery.schemas.datasets import Operation

__all__ = ["ReviewCalls"]

Result = TypeVar("Result", schemas.DecisionResult, schemas.UndoResult)

REVIEW_SECONDS = 3600.0  # how long a step is waited for unless told otherwise


class ReviewCalls(DraftCalls):
    """What a dataset can do with the review of its draft."""

    def review(
        self,
        *queues: schemas.Queue,
        against: Iterable[str] = (),
        options: schemas.ReviewOptions | None = None,
        timeout_seconds: float = REVIEW_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.Review:
        """Fill review queues anew and wait for it; decisions that were made stay.

        Args:
            queues: `exact`, `near`, `phrases`, `pii`, `quality`, `language`, `lengths`; all but the
                last if none is named.
            against: ids of datasets whose drafts are compared too, by `exact` and `near`.
            options: how to look.
            timeout_seconds: how long to wait; it goes on afterwards.
            progress: called with what is done and in all, or whether to show a bar; in notebooks
                there is one if absent.

        Raises:
            NotFoundError: if you may not view one of `against`.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        asked: dict[str, object] = {"against": list(against)}
        if queues:
            asked["queues"] = list(queues)
        if options is not None:
            asked["options"] = options.model_dump(mode="json")
        operation = self._connection.post(self._path("review"), Operation, asked)
        self._waited(operation, "Reviewing", timeout_seconds, progress)
        return self.review_state()

    def review_state(self) -> schemas.Review:
        """Return how each queue is.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get(self._path("review"), schemas.Review)

    def findings(
        self,
        queue: schemas.Queue,
        *,
        state: schemas.FindingState = "open",
        rule: str | None = None,
    ) -> Iterator[schemas.Finding]:
        """Yield the findings of a queue, with the records that they are about.

        Args:
            queue: which.
            state: `open`, or `decided`: newest first.
            rule: only those of a rule, such as `email` or `short`.

        Raises:
            AdapteryError: what the service raised.
        """
        query = {"state": state} | ({} if rule is None else {"rule": rule})
        path = self._path("review", queue)
        return self._connection.pages(path, schemas.Finding, lambda item: item.id, query=query)

    def decide(
        self,
        queue: schemas.Queue,
        decision: schemas.Decision,
        findings: Iterable[schemas.Finding | str] | None = None,
        *,
        like: schemas.Finding | str | None = None,
        rule: str | None = None,
        replacement: str | None = None,
        keep: Iterable[str] = (),
        forget: bool = False,
        timeout_seconds: float = REVIEW_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.DecisionResult:
        """Decide about findings: one edit of the draft, which one undo takes back.

        Args:
            queue: which.
            decision: `keep` or `drop`; of phrases `keep` or `strip`; of personal data `accept`
                (replace it by its kind), `ignore` or `replace`.
            findings: as `findings` gave them; all that are open if left out.
            like: instead of `findings`, all that are open and like this one: personal data of the
                same kind and value; of `quality` and `language` the same rule.
            rule: of all that are open, only those of this rule.
            replacement: what `replace` puts there.
            keep: with `drop`, the records (by position) of a group that stay; the first if absent.
            forget: what stood there is not kept in the log, and nobody can undo it.
            timeout_seconds: how long to wait, if there are many; it goes on afterwards.
            progress: as for `review`.

        Raises:
            InvalidInputError: if the queue does not know this decision.
            AdapteryError: what the service raised.
        """
        asked: dict[str, object] = {"decision": decision, "keep": list(keep), "forget": forget}
        if like is not None:
            asked["all_like"] = like if isinstance(like, str) else like.id
        if findings is None and like is None:
            asked |= {"all": True} | ({} if rule is None else {"rule": rule})
        if findings is not None:
            asked["findings"] = [f if isinstance(f, str) else f.id for f in findings]
        if replacement is not None:
            asked["replacement"] = replacement
        path, result = self._path("review", queue, "decisions"), schemas.DecisionResult
        return self._done(path, asked, result, "Deciding", timeout_seconds, progress)

    def undo_decision(
        self,
        queue: schemas.Queue,
        *,
        timeout_seconds: float = REVIEW_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.UndoResult:
        """Take back your newest decision in a queue, with all that it changed.

        Args:
            queue: which.
            timeout_seconds: as for `decide`.
            progress: as for `review`.

        Raises:
            ConflictError: if there is none, or what it changed was forgotten.
            AdapteryError: what the service raised.
        """
        path, result = self._path("review", queue, "undo"), schemas.UndoResult
        return self._done(path, {}, result, "Undoing", timeout_seconds, progress)

    def count_tokens(
        self,
        base_model: str | None = None,
        *,
        cutoff: int | None = None,
        timeout_seconds: float = REVIEW_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.Lengths:
        """Count how long the records are in tokens; return the histogram.

        Args:
            base_model: by whose tokenizer; the default one's if absent.
            cutoff: where training would cut a record.
            timeout_seconds: how long to wait; it goes on afterwards.
            progress: as for `review`.

        Raises:
            InvalidInputError: if there is no such base model.
            AdapteryError: what the service raised.
        """
        asked = {} if base_model is None else {"base_model": base_model}
        operation = self._connection.post(self._path("review", "lengths"), Operation, asked)
        self._waited(operation, "Counting tokens", timeout_seconds, progress)
        return self.lengths(cutoff)

    def lengths(self, cutoff: int | None = None) -> schemas.Lengths:
        """Return the histogram that `count_tokens` made, and what a cutoff would take.

        Raises:
            NotFoundError: if the tokens were never counted.
            AdapteryError: what the service raised.
        """
        query = None if cutoff is None else {"cutoff": str(cutoff)}
        return self._connection.get(self._path("review", "lengths"), schemas.Lengths, query=query)

    def _done(
        self,
        path: str,
        asked: Mapping[str, object],
        result: type[Result],
        title: str,
        timeout_seconds: float,
        progress: bool | Report | None,
    ) -> Result:
        """Ask for what is done at once if it is little, and else by an operation."""
        answer = self._connection.send("POST", path, json=asked)
        if answer.status_code != 202:
            return checked(answer, result)
        operation = checked(answer, Operation)
        done = self._waited(operation, title, timeout_seconds, progress)
        return parse(result, done, InternalError)

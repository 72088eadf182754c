"""What a job cost and how it went, for a reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from adaptery.client.listing import card
from adaptery.client.words import count_of, size_of
from adaptery.schemas.job_statistics import AttemptStatistics, InputStatistics, JobStatistics

__all__ = ["Statistics"]

#: As the summary of a job calls them, and how they are written.
_SCORES = (("loss", "loss {:.4g}"), ("rouge_l", "ROUGE-L {:.3g}"), ("exact_match", "exact {:.1%}"))


class Statistics(JobStatistics):
    """The numbers of a job; notebooks show them as a card."""

    def _repr_html_(self) -> str:
        return card("Statistics", self.facts())

    def facts(self) -> list[tuple[str, str]]:
        """Return what is known, in words."""
        told: dict[str, str | None] = {
            "Waited": _time(self.wait_seconds),
            "Whole time": _time(self.train_seconds),
            "Steps": _number(self.step),
            "Tokens": _number(self.tokens),
            "Tokens per second": _number(self.tokens_per_second),
            "Peak memory": None
            if self.peak_memory_bytes is None
            else size_of(self.peak_memory_bytes),
            "Last loss": _number(self.last_loss),
            "Best held-out loss": _number(self.best_eval_loss),
            "At step": _number(self.best_step),
            **_scores(self.summary or {}),
            "Learnt from": _inputs(self.inputs, held_out=False),
            "Held out": _inputs(self.inputs, held_out=True) or None,
            **{f"Attempt {each.number}": _attempt(each) for each in self.attempts},
        }
        return [(name, value) for name, value in told.items() if value is not None]


def _scores(summary: Mapping[str, Any]) -> dict[str, str | None]:
    """Return how well base model and adapter did on what was held out, if that was measured."""
    evaluation = cast("Mapping[str, Any]", summary.get("evaluation") or {})
    return {
        f"{title} on {count_of(evaluation['examples'], 'held out example')}": _score(
            evaluation[name]
        )
        for name, title in (("base", "Base model"), ("adapter", "Adapter"))
        if name in evaluation
    }


def _score(scores: Mapping[str, Any]) -> str:
    known = ((form, scores.get(name)) for name, form in _SCORES)
    return ", ".join(form.format(value) for form, value in known if value is not None)


def _inputs(inputs: Sequence[InputStatistics], *, held_out: bool) -> str:
    return ", ".join(_input(entry) for entry in inputs if entry.held_out == held_out)


def _input(entry: InputStatistics) -> str:
    if entry.records is None:
        return entry.dataset
    return f"{entry.dataset} ({count_of(entry.records, 'record')})"


def _attempt(attempt: AttemptStatistics) -> str:
    reason = f": {attempt.reason}" if attempt.reason else ""
    where = f"on {attempt.agent}, " if attempt.agent else ""
    return f"{where}{attempt.outcome or 'runs'}{reason}"


def _number(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:,}" if isinstance(value, int) else f"{value:,.5g}"


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"

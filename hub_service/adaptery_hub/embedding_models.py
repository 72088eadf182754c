"""The registered embedding models: bound to weights as base models are, and what their vectors are.

What an agent says about its vectors is believed for the bound weights only, and is not stored: it
is needed while an agent is there, which says it every two seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from adaptery.errors import (
    FieldProblem,
    InvalidInputError,
    NoAgentError,
    NotFoundError,
    NotOfferedError,
)
from adaptery_hub.base_models import BaseModels
from adaptery_hub.fleet.live import BaseModelReport, EmbeddingModelReport

RETRY_AFTER_SECONDS = 2.0


@dataclass(frozen=True)
class EmbeddingTarget:
    """The embedding model that answers."""

    model: str
    weight_digest: str
    dimensions: int  # numbers in one vector
    max_tokens: int  # of a longer text only so many are read


class EmbeddingModels(BaseModels):
    """What embedding models there are; the first of them is the default."""

    _reports: dict[str, EmbeddingModelReport]

    async def start(self) -> None:
        """Applies the pins and reads the bindings."""
        self._reports = {}
        await super().start()

    async def observe(self, reports: Iterable[BaseModelReport]) -> bool:
        """Binds names that an agent is the first to report, and notes what their vectors are."""
        heard = list(reports)
        bound = await super().observe(heard)
        for report in heard:
            is_bound = report.weight_digest == self.digest(report.name)
            if isinstance(report, EmbeddingModelReport) and is_bound:
                self._reports[report.name] = report
        return bound

    def report(self, name: str) -> EmbeddingModelReport | None:
        """Returns what is known of a model; None while no agent has said it."""
        return self._reports.get(name) if name in self.names else None

    def resolve(self, model: str, chat_models: Collection[str]) -> EmbeddingTarget:
        """Returns what answers as `model`, for whoever it is: embedding models are everyone's.

        Args:
            model: what the request says; "" is the default.
            chat_models: names of base models, which are no secret.

        Raises:
            NotOfferedError: there are no embedding models here.
            InvalidInputError: it is a base model.
            NotFoundError: there is no such embedding model.
            NoAgentError: no agent has said yet that it has it.
        """
        if not self.names:
            raise NotOfferedError(
                "No embedding model is offered here.",
                hint="an administrator offers one with configure(c, embedding_models=...)",
            )
        offered = f"offered: {', '.join(sorted(self.names))}"
        if model in chat_models:
            raise InvalidInputError(
                errors=[FieldProblem("model", "is a chat model, which makes no vectors.", offered)]
            )
        name = model or self.default
        if name not in self.names:
            # Whatever else it is, also an adapter: nothing is looked up, so nothing is told.
            raise NotFoundError("There is no such embedding model.", hint=offered)
        report = self.report(name)
        if report is None:
            raise NoAgentError(
                "No agent that has this embedding model is connected.",
                hint="try again in a moment",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        return EmbeddingTarget(name, report.weight_digest, report.dimensions, report.max_tokens)

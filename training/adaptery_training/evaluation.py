"""Compares base model and adapter on held out examples, once training is over.

Both see the same: how well they foretell the answers (the mean loss over their tokens), and how
like them is what they write themselves, greedily, as the engine would be asked. Of a conversation
the last answer is asked for; of a text nothing is. What is written is scored and forgotten: only
numbers leave.

Invariant: which examples those are is a pure function of the examples and the spec.

Shapes: B rows, T positions.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import Any, TypeAlias, cast

import torch
from peft import PeftModel
from transformers import PreTrainedModel, StoppingCriteria

from adaptery.examples import Example, ExampleSet, Judged, Pair
from adaptery.schemas.events import Evaluation, Scores
from adaptery_training.answer_scores import is_exact, rouge_l
from adaptery_training.failures import DivergedError
from adaptery_training.labelled_loss import Collator, labelled_loss
from adaptery_training.run import Run

#: Rows at a time, at least: without gradients they take a fraction of the memory of training.
_ROWS = 8

Autocast: TypeAlias = "Callable[[], AbstractContextManager[Any]]"


class EvaluationEndedError(Exception):
    """The evaluation was ended before its last answer."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What precedes an answer, and the answer."""

    asked: Sequence[int]
    wanted: str

    def __len__(self) -> int:
        return len(self.asked)


class Evaluator:
    """Measures one model with and without its adapter."""

    def __init__(
        self, model: PeftModel, held_out: ExampleSet[Any], run: Run, autocast: Autocast
    ) -> None:
        self._model = model
        self._run = run
        self._autocast = autocast
        self._examples = _drawn(_answers(held_out.examples), run)
        self._questions = _questions(self._examples, run)
        self._batch_size = max(run.spec.optim.batch_size, _ROWS)

    def evaluate(self) -> Evaluation | None:
        """Return what base model and adapter score; None if nothing is held out to score on.

        Raises:
            EvaluationEndedError: the run's observer asked to stop.
            DivergedError: a loss is no number.
        """
        if not self._examples:
            return None
        self._model.train(False)
        adapter = self._score()
        with self._run.plain.as_base():
            base = self._score()
        return Evaluation(examples=len(self._examples), base=base, adapter=adapter)

    @torch.no_grad()
    def _score(self) -> Scores:
        loss = self._loss()
        if not self._questions:
            return Scores(loss=loss)
        written = list(chain.from_iterable(map(self._write, self._batches(self._questions))))
        pairs = [(q.wanted, text) for q, text in zip(self._questions, written, strict=True)]
        return Scores(
            loss=loss,
            rouge_l=fmean(rouge_l(*pair) for pair in pairs),
            exact_match=fmean(is_exact(*pair) for pair in pairs),
        )

    def _loss(self) -> float:
        causal = cast("PreTrainedModel", self._model.get_base_model())
        head: Any = causal.get_output_embeddings()
        collate = Collator(self._run.base.pad_token_id)
        loss, weight = 0.0, 0.0
        for examples in self._batches(self._examples):
            self._check_time()
            rows = {n: t.to(self._model.device) for n, t in collate(examples).items()}
            with self._autocast():
                loss += float(labelled_loss(self._model, head, rows, 1.0))
            weight += float(rows["weights"].sum())
        if not math.isfinite(loss):
            raise DivergedError("The loss on what is held out is no number.")
        return loss / weight

    def _write(self, questions: Sequence[_Question]) -> list[str]:
        """Return what the model answers, greedily."""
        base, device = self._run.base, self._model.device
        width = max(map(len, questions))
        padding = [width - len(question) for question in questions]
        rows = [
            [*[base.pad_token_id] * pad, *question.asked]
            for pad, question in zip(padding, questions, strict=True)
        ]
        starts = torch.tensor(padding, device=device)
        with self._autocast():
            output: Any = self._model.generate(
                input_ids=torch.tensor(rows, device=device),  # [B, T]
                attention_mask=(torch.arange(width, device=device) >= starts[:, None]).long(),
                max_new_tokens=self._run.spec.eval.max_new_tokens,
                do_sample=False,
                use_cache=True,
                pad_token_id=base.pad_token_id,
                eos_token_id=sorted(base.tokenizer.end_tokens()) or None,
                stopping_criteria=[_Watched(self._check_time)],
            )
        ends = base.tokenizer.end_tokens()
        return [base.tokenizer.decode(_until(ends, row[width:].tolist())) for row in output]

    def _batches(self, rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
        for start in range(0, len(rows), self._batch_size):
            yield rows[start : start + self._batch_size]

    def _check_time(self) -> None:
        if self._run.observer.should_stop():
            raise EvaluationEndedError


class _Watched(StoppingCriteria):
    """Looks at each token whether there is still time."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def __call__(
        self, input_ids: torch.LongTensor, scores: object, **_: object
    ) -> torch.BoolTensor:
        """Stop no row; raise if there is none."""
        self._check()
        none = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        return cast("torch.BoolTensor", none)


def _answers(examples: Sequence[Any]) -> list[Example]:
    """Return the answers that are worth writing: of two the better, of judged ones the good."""
    found: list[Example] = []
    for example in examples:
        match example:
            case Pair():
                found.append(example.chosen)
            case Judged():
                found += [example.answered] if example.good else []
            case _:
                found.append(example)
    return found


def _drawn(examples: list[Example], run: Run) -> list[Example]:
    """Return as many as the spec asks for, like lengths side by side."""
    wanted = min(run.spec.eval.examples, len(examples))
    # Which examples are drawn is no secret.
    drawn = random.Random(f"evaluated:{run.spec.optim.seed}").sample(examples, wanted)  # noqa: S311
    return sorted(drawn, key=len)


def _questions(examples: Sequence[Example], run: Run) -> list[_Question]:
    """Return what there is to ask: nothing, where the whole text counts."""
    found: list[_Question] = []
    for example in examples:
        start, end, _ = example.targets[-1]
        if run.spec.stage == "pt" or start <= 1:
            continue
        wanted = run.base.tokenizer.decode(example.token_ids[start:end])
        found.append(_Question(example.token_ids[:start], wanted))
    return sorted(found, key=len)


def _until(ends: set[int], tokens: Sequence[int]) -> Sequence[int]:
    """Return the tokens before the first that ends an answer."""
    place = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:place]

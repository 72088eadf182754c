"""What the engine does with a row that has a grammar; the grammar is a list of tokens."""

from dataclasses import dataclass, field

import pytest

from adaptery_inference.engine import Prompt, SamplingParams
from adaptery_inference.engine.sampling import NO_TOKEN
from adaptery_inference.errors import BadRequestError

END = 0


@dataclass
class CountMatcher:
    """Accepts tokens until it has seen so many."""

    count: int
    breaks: bool = False
    seen: list[int] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.seen) == self.count

    @property
    def broken(self) -> bool:
        return self.breaks and bool(self.seen)

    def mask(self) -> bytes | None:
        return None if self.broken else b"\xff"

    def accept(self, token: int) -> None:
        self.seen.append(token)


@dataclass
class CountGrammar:
    count: int
    breaks: bool = False
    matchers: list[CountMatcher] = field(default_factory=list)
    field: str = "response_format"

    def matcher(self) -> CountMatcher:
        self.matchers.append(CountMatcher(self.count, self.breaks))
        return self.matchers[-1]


def add(bench, name: str, tokens: list[int], grammar: CountGrammar, **options: object) -> None:
    params = SamplingParams(temperature=0, grammar=grammar, **options)
    bench.engine.add([Prompt(tokens, {name: params})])


def test_an_answer_ends_when_its_grammar_is_complete(bench) -> None:
    grammar = CountGrammar(3)
    add(bench, "a", [1], grammar, max_tokens=20)
    bench.finish()
    assert bench.text("a") == "2 3 4 "
    assert bench.last("a").finish_reason == "stop"
    assert not bench.last("a").ended_by_token


def test_an_answer_that_is_cut_before_says_so(bench) -> None:
    add(bench, "a", [1], CountGrammar(9), max_tokens=2)
    bench.finish()
    assert bench.last("a").finish_reason == "length"


def test_an_end_token_ends_it_whatever_ignore_eos_says(bench) -> None:
    grammar = CountGrammar(9)
    add(bench, "a", [-3], grammar, max_tokens=20, ignore_eos=True)
    bench.finish()
    assert bench.text("a") == "-2 -1 "
    assert bench.last("a").ended_by_token
    assert grammar.matchers[0].seen == [-2, -1]


def test_each_answer_has_a_matcher_of_its_own_and_keeps_it_when_preempted(make_bench) -> None:
    bench = make_bench(blocks=6)
    grammar = CountGrammar(15)
    for name in ("old", "young"):
        add(bench, name, [1] * 4, grammar, max_tokens=16)
    bench.finish()
    assert len(bench.runner.steps) > 15  # not side by side all the time
    assert [matcher.seen for matcher in grammar.matchers] == [list(range(2, 17))] * 2
    assert bench.text("old") == bench.text("young")
    assert {bench.last(name).finish_reason for name in ("old", "young")} == {"stop"}


def test_a_grammar_that_gives_up_ends_its_own_row_with_the_field(make_bench, bench) -> None:
    class GivesUp(type(bench.runner)):
        def _next(self, chunk, adapters):
            broken = chunk.sequence.matcher is not None and chunk.sequence.matcher.broken
            return NO_TOKEN if broken else super()._next(chunk, adapters)

    bench = make_bench(runner=GivesUp())
    add(bench, "a", [1], CountGrammar(9, breaks=True), max_tokens=9)
    bench.add("b")
    bench.finish()
    error = bench.last("a").error
    assert isinstance(error, BadRequestError)
    assert [problem.where for problem in error.errors] == ["response_format"]
    assert bench.last("b").finish_reason == "length"


@pytest.mark.parametrize(("stop", "text"), [("3 ", "2 "), ("9", "2 3 4 ")])
def test_the_stop_string_that_ended_an_answer_is_told(bench, stop: str, text: str) -> None:
    bench.add("a", [1], max_tokens=3, stop=(stop,))
    bench.finish()
    assert bench.text("a") == text
    assert bench.last("a").stop == (stop if stop in "2 3 4 " else None)

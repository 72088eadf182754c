"""One row of the batch: its tokens, its cache blocks, its adapter and how it ended.

A sequence holds state and small facts about it. It does not schedule, sample or decode.

Invariants:
* ``0 <= computed <= len(tokens)``: keys and values of ``tokens[:computed]`` lie in ``blocks``;
* ``tokens[:prompt_tokens]`` never changes; a preempted sequence keeps its output and recomputes.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from adaptery_inference.engine.adapters import Adapter
from adaptery_inference.engine.grammars import Matcher
from adaptery_inference.engine.sampling import SamplingParams
from adaptery_inference.engine.text import IncrementalText


class FinishReason(StrEnum):
    """Why a sequence ended, in the words of the OpenAI API."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(eq=False)
class Sequence:
    """One prompt and what has been generated from it."""

    id: str
    tokens: list[int]
    params: SamplingParams
    max_output_tokens: int
    text: IncrementalText
    adapter: Adapter | None = None
    leader: "Sequence | None" = None  # the first row of the same prompt, where there are several
    matcher: Matcher | None = field(init=False)  # follows the output, also through a preemption
    prompt_tokens: int = field(init=False)
    computed: int = 0
    blocks: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def __post_init__(self) -> None:
        assert self.tokens, "a sequence needs at least one token"
        self.prompt_tokens = len(self.tokens)
        self.matcher = self.params.grammar.matcher() if self.params.grammar else None

    @property
    def pending(self) -> int:
        """How many tokens have no keys and values yet: 1 while decoding, more in prefill."""
        return len(self.tokens) - self.computed

    @property
    def output_tokens(self) -> int:
        """How many tokens have been generated."""
        return len(self.tokens) - self.prompt_tokens

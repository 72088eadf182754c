"""How the tokens of one request are chosen, and when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from adaptery_inference.engine.grammars import Grammar
from adaptery_inference.errors import BadRequestError

MAX_STOP_STRINGS = 16  # OpenAI allows 4; other clients send a few more
MAX_STOP_CHARACTERS = 256  # per stop string; each bounds the text held back from a stream
MAX_TEMPERATURE = 2.0
MAX_PENALTY = 2.0
MAX_REPETITION_PENALTY = 10.0
MAX_BIASES = 300  # tokens in one logit_bias
MAX_BIAS = 100.0  # bans a token, or makes it the only one
MAX_LOGPROBS = 20  # of the likeliest tokens, beside the chosen one
#: Below this a division by the temperature only makes infinities; the answer is greedy anyway.
GREEDY_TEMPERATURE = 1e-4
#: What a runner answers for a row whose numbers are not finite: there is nothing to choose from.
NO_TOKEN = -(2**63)


@dataclass(frozen=True, slots=True)
class Choice:
    """The token that was chosen for one row, with log probabilities where they were asked for.

    They are the model's own: before temperature, penalties, bias and grammar.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()  # the likeliest tokens, likeliest first


@dataclass(frozen=True)
class SamplingParams:
    """What a caller may choose about the sampling of one sequence.

    Raises:
        BadRequestError: a value is out of range; the message names the field and the range.
    """

    max_tokens: int | None = None  # None: as many as context and memory allow
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None  # None: all tokens
    min_p: float = 0.0  # share of the likeliest token's probability that a token must have
    seed: int = 0
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False  # for benchmarks: runs to max_tokens; a grammar ends all the same
    frequency_penalty: float = 0.0  # for each time a token stands in the answer
    presence_penalty: float = 0.0  # once for each token in the answer
    repetition_penalty: float = 1.0  # a divisor, for each token in prompt or answer
    logit_bias: Mapping[int, float] = field(default_factory=dict, hash=False)  # by token
    logprobs: int | None = None  # how many of the likeliest tokens; None: no log probabilities
    grammar: Grammar | None = None  # what the answer must be

    def __post_init__(self) -> None:
        _check(self.max_tokens is None or self.max_tokens >= 1, "max_tokens", "at least 1")
        _check(0 <= self.temperature <= MAX_TEMPERATURE, "temperature", "between 0 and 2")
        _check(0 < self.top_p <= 1, "top_p", "above 0 and at most 1")
        _check(self.top_k is None or self.top_k >= 1, "top_k", "at least 1, or left out")
        _check(0 <= self.min_p <= 1, "min_p", "between 0 and 1")
        for name in ("frequency_penalty", "presence_penalty"):
            _check(abs(getattr(self, name)) <= MAX_PENALTY, name, "between -2 and 2")
        repetition = 0 < self.repetition_penalty <= MAX_REPETITION_PENALTY
        _check(repetition, "repetition_penalty", "above 0 and at most 10")
        few = len(self.logit_bias) <= MAX_BIASES
        _check(few, "logit_bias", f"a bias for at most {MAX_BIASES} tokens")
        mild = all(abs(bias) <= MAX_BIAS for bias in self.logit_bias.values())
        _check(mild, "logit_bias", "biases between -100 and 100")
        shown = self.logprobs is None or 0 <= self.logprobs <= MAX_LOGPROBS
        _check(shown, "logprobs", f"between 0 and {MAX_LOGPROBS}")
        _check(len(self.stop) <= MAX_STOP_STRINGS, "stop", f"at most {MAX_STOP_STRINGS} strings")
        fits = all(1 <= len(text) <= MAX_STOP_CHARACTERS for text in self.stop)
        _check(fits, "stop", f"strings of 1 to {MAX_STOP_CHARACTERS} characters")

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature < GREEDY_TEMPERATURE or self.top_k == 1

    @property
    def penalised(self) -> bool:
        """Whether tokens that stood before are less likely, or more."""
        return bool(self.frequency_penalty or self.presence_penalty or self.repetition_penalty != 1)

    @property
    def adjusts(self) -> bool:
        """Whether the model's logits are changed before a token is chosen."""
        return self.penalised or bool(self.logit_bias) or self.grammar is not None


def _check(holds: bool, field: str, wanted: str) -> None:
    if not holds:
        raise BadRequestError.for_field(field, f"must be {wanted}.")

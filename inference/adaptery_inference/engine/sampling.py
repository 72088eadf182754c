"""How the tokens of one request are chosen, and when it ends."""

from dataclasses import dataclass

from adaptery_inference.errors import BadRequestError

MAX_STOP_STRINGS = 16  # OpenAI allows 4; other clients send a few more
MAX_STOP_CHARACTERS = 256  # per stop string; each bounds the text held back from a stream
MAX_TEMPERATURE = 2.0
#: Below this a division by the temperature only makes infinities; the answer is greedy anyway.
GREEDY_TEMPERATURE = 1e-4
#: What a runner answers for a row whose numbers are not finite: there is nothing to choose from.
NO_TOKEN = -(2**63)


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
    seed: int = 0
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False  # for benchmarks: runs to max_tokens

    def __post_init__(self) -> None:
        _check(self.max_tokens is None or self.max_tokens >= 1, "max_tokens", "at least 1")
        _check(0 <= self.temperature <= MAX_TEMPERATURE, "temperature", "between 0 and 2")
        _check(0 < self.top_p <= 1, "top_p", "above 0 and at most 1")
        _check(self.top_k is None or self.top_k >= 1, "top_k", "at least 1, or left out")
        _check(len(self.stop) <= MAX_STOP_STRINGS, "stop", f"at most {MAX_STOP_STRINGS} strings")
        fits = all(1 <= len(text) <= MAX_STOP_CHARACTERS for text in self.stop)
        _check(fits, "stop", f"strings of 1 to {MAX_STOP_CHARACTERS} characters")

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature < GREEDY_TEMPERATURE or self.top_k == 1


def _check(holds: bool, field: str, wanted: str) -> None:
    if not holds:
        raise BadRequestError.for_field(field, f"must be {wanted}.")

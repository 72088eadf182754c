"""From token ids to text that may be streamed: UTF-8 safe, with stop strings.

``IncrementalText`` decodes a growing list of tokens; ``StopScanner`` looks for stop strings.
Neither knows a tokenizer: the decode function is passed in.

Invariants:
* the deltas put together are the text of all tokens, cut before the first stop string;
* no delta holds a part of a character or a part of a stop string.

Source: the prefix and read offsets follow Text Generation Inference,
``server/text_generation_server/models/model.py`` (``decode_token``).
"""

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
#: What decoders put for bytes that are not, or not yet, a character.
REPLACEMENT = "\ufffd"


class StopScanner:
    """Passes text on, except what is or may become a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stop: str | None = None  # the stop string that was found

    @property
    def stopped(self) -> bool:
        """Whether a stop string was found."""
        return self.stop is not None

    def feed(self, text: str) -> str:
        """Add ``text``; answer what may be shown now. After a stop, nothing more may."""
        if self.stopped:
            return ""
        if not self._stops:
            return text
        held = self._held + text
        found = [(held.find(stop), stop) for stop in self._stops if stop in held]
        if found:
            end, self.stop = min(found)
            self._held = ""
            return held[:end]
        keep = self._partial_stop_length(held)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def flush(self) -> str:
        """What was held back and turned out to be no stop string."""
        held, self._held = self._held, ""
        return held

    def _partial_stop_length(self, text: str) -> int:
        longest = min(len(text), max(len(stop) for stop in self._stops) - 1)
        for length in range(longest, 0, -1):
            tail = text[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0


class IncrementalText:
    """The text of one sequence as it grows."""

    def __init__(self, decode: Decode, stops: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stops = StopScanner(stops)
        self._tokens: list[int] = []
        self._context_from = 0  # decoded for context: some decoders look at the token before
        self._new_from = 0  # tokens from here on are not yet fully shown
        self._shown = 0  # characters of the new tokens' text that were passed on

    @property
    def stop(self) -> str | None:
        """The stop string that ended the text."""
        return self._stops.stop

    def append(self, token: int) -> str:
        """Add a token; answer the text that may be shown now."""
        self._tokens.append(token)
        text = self._new_text()
        whole = text.rstrip(REPLACEMENT)
        delta = whole[self._shown :]
        self._shown = max(self._shown, len(whole))
        if text and whole == text:
            self._context_from, self._new_from = self._new_from, len(self._tokens)
            self._shown = 0
        return self._stops.feed(delta)

    def finish(self) -> str:
        """The last text: bytes that never became a character, and what a stop might have been."""
        delta = self._stops.feed(self._new_text()[self._shown :])
        self._context_from = self._new_from = len(self._tokens)
        self._shown = 0
        return delta + self._stops.flush()

    def _new_text(self) -> str:
        before = self._decode(self._tokens[self._context_from : self._new_from])
        return self._decode(self._tokens[self._context_from :])[len(before) :]

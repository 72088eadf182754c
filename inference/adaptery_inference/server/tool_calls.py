"""Finds the calls of tools in the text of an answer while it grows.

A call is ``{"name": "...", "arguments": {...}}`` (or ``parameters``) between ``<tool_call>`` and
``</tool_call>`` anywhere, or bare at the beginning of the answer or after another call, in a list
or not: how Hermes, Qwen, SmolLM, Llama and Mistral models write them. Whatever is no such call of
a tool that was offered is text.

Invariants:
* pieces do not depend on how the text was cut;
* text that may become a call is held back; everything else is passed on at once;
* nothing is lost: what is no call comes out as text.

Source: NousResearch, Hermes-Function-Calling, README, "Prompt Format for Function Calling"; Qwen2.5
chat template; Llama 3.1 prompt format, "JSON based tool calling".
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

MARKER, END_MARKER = "<tool_call>", "</tool_call>"
_SPACE = r"\s{0,16}"
_NAME = r"[A-Za-z0-9_.-]{1,64}"


def _letters(text: str) -> list[str]:
    return [re.escape(letter) for letter in text]


def _opening(marker: str, key: str) -> list[str]:
    """The steps up to the arguments of a call."""
    start = [_SPACE, *_letters(MARKER)] if marker else [r"[\s,;\[]{0,16}"]
    steps = [*start, _SPACE]
    for word in ("{", '"name"', ":"):
        steps += [*_letters(word), _SPACE]
    steps += ['"', f"({_NAME})", '"', _SPACE]
    for word in (",", f'"{key}"', ":"):
        steps += [*_letters(word), _SPACE]
    return steps


def _partly(steps: list[str]) -> str:
    """A pattern of everything that may become ``steps``."""
    pattern = ""
    for step in reversed(steps):
        pattern = f"(?:{step}{pattern})?"
    return pattern


def _patterns(openings: list[list[str]]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What begins a call, and what may still become such a beginning."""
    whole = "|".join("".join(steps) + r"(?=\{)" for steps in openings)
    return re.compile(whole), re.compile("|".join(_partly(steps) for steps in openings))


_KEYS = ("arguments", "parameters")
_MARKED = _patterns([_opening(MARKER, key) for key in _KEYS])
_ANY = _patterns([_opening(marker, key) for marker in (MARKER, "") for key in _KEYS])
_CLOSING = [_SPACE, r"\}", r"[\s\]]{0,16}", *_letters(END_MARKER)]
_CLOSED = re.compile(rf"{_SPACE}\}}[\s\]]{{0,16}}(?:{re.escape(END_MARKER)})?")
_CLOSING_PARTLY = re.compile(_partly(_CLOSING))


@dataclass(frozen=True)
class CallPiece:
    """What is added to one call; the first piece of a call has its name."""

    index: int
    arguments: str
    name: str | None = None


@dataclass
class _Nesting:
    """Where in a JSON object a text stands."""

    depth: int = 0
    in_string: bool = False
    escaped: bool = False

    def end(self, text: str) -> int | None:
        """How many characters of ``text`` are left until the object ends; None: it goes on."""
        for at, letter in enumerate(text):
            if self.escaped:
                self.escaped = False
            elif self.in_string:
                self.escaped = letter == "\\"
                self.in_string = letter != '"'
            elif letter == '"':
                self.in_string = True
            elif letter in "{[":
                self.depth += 1
            elif letter in "}]":
                self.depth -= 1
                if self.depth == 0:
                    return at + 1
        return None


class ToolCallReader:
    """Reads one answer."""

    def __init__(self, names: Collection[str], *, bare: bool = True, several: bool = True) -> None:
        """Make a reader.

        Args:
            names: of the tools that may be called.
            bare: whether calls without markers count.
            several: whether there may be more than one call; what follows the first is dropped.
        """
        self._names = frozenset(names)
        self._bare = bare
        self._several = several
        self._held = ""
        self._fresh = True  # whether a bare call may begin here
        self._arguments: _Nesting | None = None  # while in the arguments of a call
        self._closing = False  # while behind the arguments of a call
        self.calls = 0

    def feed(self, text: str) -> tuple[str, list[CallPiece]]:
        """Add ``text``; answer what is text, and what belongs to calls."""
        self._held += text
        shown, pieces = "", []
        while True:
            if self._arguments is not None:
                pieces += self._read_arguments(self._arguments)
                going_on = self._arguments is None
            elif self._closing:
                going_on = self._close()
            else:
                more, opened = self._seek()
                shown += more
                pieces += opened
                going_on = bool(opened)
            if not going_on:
                return shown, pieces

    def finish(self) -> str:
        """What was held back and is no call."""
        held, self._held = self._held, ""
        dropped = self._closing or self._done or (self.calls and not held.strip())
        return "" if dropped else held

    @property
    def _done(self) -> bool:
        return self.calls > 0 and not self._several

    def _seek(self) -> tuple[str, list[CallPiece]]:
        """The text before the next call, and its first piece."""
        shown = ""
        if self._done and self._arguments is None:
            self._held = ""
        while self._held:
            start = 0 if self._fresh else self._held.find(MARKER[0])
            if start < 0:
                break
            shown, self._held = shown + self._held[:start], self._held[start:]
            begins, may_begin = _ANY if self._fresh and self._bare else _MARKED
            found = begins.match(self._held)
            name = next((group for group in found.groups() if group), "") if found else ""
            if found and name in self._names:
                return shown, [self._open(found.end(), name)]
            if not found and may_begin.fullmatch(self._held):
                return shown, []
            if not self._fresh:
                shown, self._held = shown + self._held[:1], self._held[1:]
            self._fresh = False
        shown, self._held = shown + self._held, ""
        return shown, []

    def _open(self, end: int, name: str) -> CallPiece:
        self._held = self._held[end:]
        self._arguments = _Nesting()
        self.calls += 1
        return CallPiece(self.calls - 1, "", name)

    def _read_arguments(self, nesting: _Nesting) -> list[CallPiece]:
        end = nesting.end(self._held)
        taken = self._held[:end]
        self._held = self._held[len(taken) :]
        if end is not None:
            self._arguments, self._closing = None, True
        return [CallPiece(self.calls - 1, taken)] if taken else []

    def _close(self) -> bool:
        """Drop what closes a call; False while more of it may come."""
        if _CLOSING_PARTLY.fullmatch(self._held) and not self._held.endswith(END_MARKER):
            return False
        found = _CLOSED.match(self._held)
        self._held = self._held[found.end() :] if found else self._held
        self._closing, self._fresh = False, True
        return True

"""Compiles what an answer must be, and follows answers through it: JSON only, by llguidance.

Compiling takes up to a second for the largest schemas and holds no lock of Python's, so it belongs
on a thread of its own; following takes microseconds a token. What either may cost is limited: the
limits are fuel of the library's own, not seconds, so they hold on any machine.

Invariants:
* nothing outside of a schema is ever fetched: llguidance resolves references within it only;
* every answer that a compiled grammar lets end is JSON of its schema;
* the compiled grammars that are kept have no more than ``MAX_KEPT_CHARACTERS`` of source.

Source: llguidance 1.9, python/llguidance/_lib.pyi (``LLParserLimits``), docs/syntax.md (``%json``).
"""

import re
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from adaptery.errors import InvalidInputError
from adaptery_inference.engine.grammars import GrammarSource
from adaptery_inference.errors import BadRequestError

MAX_SOURCE_CHARACTERS = 131_072  # all tools of a request together
MAX_KEPT_CHARACTERS = 1_048_576
MAX_REASON_CHARACTERS = 200
#: What the library puts before the reason.
_WRAPPING = "failed to compile JSON schema: "
#: Where it begins to quote the grammar, behind the reason.
_QUOTED = re.compile(r"^\s*\d+ \| ", re.MULTILINE)
#: Following one answer costs at most about 20 ms a token and, by its lexer's states, 8 MB.
_LIMITS = LLParserLimits(
    max_items_in_row=2_000,
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=200_000,
    step_max_items=20_000,
    max_lexer_states=4_000,
    max_grammar_size=200_000,
    precompute_large_lexemes=False,
    verbose_errors=False,
)


class JsonMatcher:
    """Follows one answer. Implements ``engine.Matcher``."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    @property
    def complete(self) -> bool:
        """Whether nothing but an end token can follow."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    @property
    def broken(self) -> bool:
        """Whether a limit was met."""
        return self._matcher.is_error()

    def mask(self) -> bytes | None:
        """One bit per token that may come next."""
        found = self._matcher.compute_bitmask()
        return None if self.broken else found

    def accept(self, token: int) -> None:
        """Go on by a token."""
        self._matcher.consume_token(token)


@dataclass(frozen=True)
class CompiledGrammar:
    """A grammar that answers can be followed through. Implements ``engine.Grammar``."""

    field: str
    prototype: LLMatcher

    def matcher(self) -> JsonMatcher:
        """A matcher for a new answer; a copy costs microseconds."""
        return JsonMatcher(self.prototype.deep_copy())


class GrammarCompiler:
    """Compiles grammars for one tokenizer and keeps those that were used of late."""

    def __init__(self, tokenizer: LLTokenizer) -> None:
        self._tokenizer = tokenizer
        self._kept: OrderedDict[str, LLMatcher] = OrderedDict()  # least recent first
        self._kept_characters = 0

    def compile(self, source: GrammarSource) -> CompiledGrammar:
        """A grammar for ``source``; not for two threads at once.

        Raises:
            BadRequestError: naming the field, and why the library refuses it.
        """
        prototype = self._kept.get(source.text)
        if prototype is None:
            prototype = self._compiled(source)
            self._keep(source.text, prototype)
        self._kept.move_to_end(source.text)
        return CompiledGrammar(source.field, prototype)

    def _compiled(self, source: GrammarSource) -> LLMatcher:
        if len(source.text) > MAX_SOURCE_CHARACTERS:
            reason = f"is longer than {MAX_SOURCE_CHARACTERS} characters in all."
            raise BadRequestError.for_field(source.field, reason, "Leave some of it out.")
        matcher = LLMatcher(self._tokenizer, source.text, log_level=0, limits=_LIMITS)
        first = matcher.deep_copy()
        empty = first.is_accepting() or not any(first.compute_bitmask())
        for each in (matcher, first):
            if each.is_error():
                raise _refusal(source.field, each.get_error())
        if empty:
            raise _empty(source.field)
        return matcher

    def _keep(self, text: str, prototype: LLMatcher) -> None:
        self._kept[text] = prototype
        self._kept_characters += len(text)
        while self._kept_characters > MAX_KEPT_CHARACTERS:
            oldest, _ = self._kept.popitem(last=False)
            self._kept_characters -= len(oldest)


def vocabulary_of(tokenizer_json: str, size: int, end_tokens: Collection[int]) -> LLTokenizer:
    """The tokens as bytes, as llguidance wants them.

    Args:
        tokenizer_json: the ``tokenizer.json`` of the base model.
        size: how many logits the model makes; more than the tokenizer has tokens, at times.
        end_tokens: which of them end an answer.

    Raises:
        InvalidInputError: the tokenizer is of a kind that llguidance does not know.
    """
    try:
        return LLTokenizer(tokenizer_json, n_vocab=size, eos_token=sorted(end_tokens))
    except ValueError as error:
        raise InvalidInputError(
            "The tokenizer of the base model cannot be read as bytes; its answers could not be "
            "held to JSON."
        ) from error


def _refusal(field: str, error: str) -> BadRequestError:
    text = error.rpartition(_WRAPPING)[2].replace("<non-verbose/>", "")
    reason = " ".join(_QUOTED.split(text)[0].split())[:MAX_REASON_CHARACTERS].rstrip(".:")
    if reason.startswith("NoExtension"):
        return _empty(field)
    return BadRequestError.for_field(
        field, f"cannot be followed: {reason}.", "Make it smaller, or leave out what is not known."
    )


def _empty(field: str) -> BadRequestError:
    return BadRequestError.for_field(field, "allows no JSON at all.")

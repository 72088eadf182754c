"""Turns records into what a model is trained on: token ids, and which of them count in the loss.

A chat record becomes the text that the base model's own chat template makes of it, so that the
adapter learns exactly what the engine will feed it. Only the answers count: for each assistant
message the text that the template adds to "everything before it, plus the opening of an answer",
up to and including the end-of-turn token, each with the weight of its message; a message of weight
0 is read but does not count. A text record counts as a whole and ends with the end-of-text token.

It holds no torch; the tokenizer comes in through `ChatTokenizer`.

Invariants:

1. Every example has at least one token that counts. Records that have none are dropped and counted.
2. No example is longer than the cut-off; what is beyond it is cut at the end and counted.
3. Error messages name the record by its number and never quote it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, cast

from adaptery.records import Message, Record
from adaptery_training.failures import BadDataError

JsonObject: TypeAlias = Mapping[str, object]


class ChatTokenizer(Protocol):
    """What of a Hugging Face tokenizer is used here."""

    is_fast: bool
    chat_template: object
    eos_token: str | None
    eos_token_id: int | None

    def apply_chat_template(
        self,
        conversation: Sequence[JsonObject],
        tools: Sequence[JsonObject] | None = None,
        *,
        tokenize: bool = True,
        add_generation_prompt: bool = False,
    ) -> str:
        """Render messages as text (with `tokenize=False`)."""
        ...

    def __call__(
        self,
        text: str,
        *,
        add_special_tokens: bool = True,
        return_offsets_mapping: bool = False,
    ) -> Mapping[str, Sequence[object]]:
        """Return `input_ids`, and `offset_mapping` on request."""
        ...


class Target(NamedTuple):
    """A half-open range of positions (of tokens or characters) that counts in the loss."""

    start: int
    end: int
    weight: float = 1.0  #: how much each of its tokens counts, above 0


@dataclass(frozen=True, slots=True)
class Example:
    """One record, ready to train on."""

    token_ids: array[int]  #: [T], 4 bytes each: a list would take nine times as much
    targets: tuple[Target, ...]

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def target_tokens(self) -> int:
        """How many tokens count in the loss."""
        return sum(target.end - target.start for target in self.targets)


@dataclass(slots=True)
class ExampleSet:
    """The examples of a dataset version and what happened to its records on the way."""

    cutoff_len: int
    examples: list[Example] = field(default_factory=list)
    cut: int = 0  #: longer than the cut-off, trained on without their end
    dropped_cut: int = 0  #: nothing that counts was left before the cut-off
    dropped_empty: int = 0  #: nothing that counts was there at all

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example, in order."""
        return [len(example) for example in self.examples]

    def add(self, token_ids: array[int], targets: Sequence[Target]) -> None:
        """Cut to the cut-off and keep, or drop, and count which."""
        # The first token follows nothing, so the model never predicts it.
        real = [t._replace(start=max(t.start, 1)) for t in targets if t.end > max(t.start, 1)]
        if not real:
            self.dropped_empty += 1
            return
        limit = self.cutoff_len
        kept = tuple(t._replace(end=min(t.end, limit)) for t in real if t.start < limit)
        if not kept:
            self.dropped_cut += 1
            return
        self.cut += len(token_ids) > limit
        self.examples.append(Example(token_ids[:limit], kept))

    def describe(self) -> str:
        """Return one line of counts for the job's log."""
        tokens, targets = sum(self.lengths), sum(e.target_tokens for e in self.examples)
        mean = tokens / len(self.examples) if self.examples else 0.0
        return (
            f"{len(self.examples)} examples, {tokens} tokens (mean {mean:.0f}), "
            f"{targets} of them count in the loss; {self.cut} cut at {self.cutoff_len} tokens, "
            f"{self.dropped_cut} dropped because their answer lies beyond the cut-off, "
            f"{self.dropped_empty} dropped because nothing in them counts"
        )


def build_examples(
    records: Iterable[Record], tokenizer: ChatTokenizer, *, cutoff_len: int
) -> ExampleSet:
    """Tokenize records for supervised fine-tuning.

    Raises:
        BadDataError: a record is of a kind that cannot be fine-tuned on, the chat template refuses
            one, or no example is left.
    """
    made = ExampleSet(cutoff_len)
    for number, record in enumerate(records, start=1):
        if record.kind == "chat":
            made.add(*_chat_tokens(record, tokenizer, number))
        elif record.kind == "text":
            made.add(*_text_tokens(record, tokenizer))
        else:
            raise BadDataError(
                f"Record {number} is of kind {record.kind}; supervised fine-tuning takes chat and "
                "text records.",
                remedy="Train on a dataset version of chat or text records.",
            )
    if not made.examples:
        raise BadDataError(
            f"No record is left to train on: {made.describe()}.",
            remedy="Raise the cut-off length, or publish records with an answer to learn from.",
        )
    return made


def _text_tokens(record: Record, tokenizer: ChatTokenizer) -> tuple[array[int], list[Target]]:
    ids = array("i", cast("list[int]", tokenizer(record.text or "")["input_ids"]))
    if not ids:
        return ids, []
    if tokenizer.eos_token_id is not None and ids[-1] != tokenizer.eos_token_id:
        ids.append(tokenizer.eos_token_id)
    return ids, [Target(0, len(ids))]


def _chat_tokens(
    record: Record, tokenizer: ChatTokenizer, number: int
) -> tuple[array[int], list[Target]]:
    text, spans = _render_chat(record, tokenizer, number)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = array("i", cast("list[int]", encoded["input_ids"]))
    offsets = cast("list[tuple[int, int]]", encoded["offset_mapping"])
    begins = [begin for begin, _ in offsets]  # grows along the text
    return ids, [
        # A token counts if it begins inside the range of characters.
        Target(bisect_left(begins, span.start), bisect_left(begins, span.end), span.weight)
        for span in spans
    ]


def _render_chat(record: Record, tokenizer: ChatTokenizer, number: int) -> tuple[str, list[Target]]:
    """Return the whole conversation as text and the character ranges that count."""
    messages = [_plain(message) for message in record.messages]
    tools = [dict(tool) for tool in record.tools] if record.tools else None

    def render(count: int, *, opening: bool) -> str:
        try:
            return tokenizer.apply_chat_template(
                messages[:count], tools, tokenize=False, add_generation_prompt=opening
            )
        except Exception as error:
            # Templates raise what they like; their text may quote the record, so it stays here.
            raise BadDataError(
                f"The base model's chat template refuses record {number} "
                f"({len(messages)} messages, {type(error).__name__})."
            ) from None

    whole = render(len(messages), opening=False)
    spans: list[Target] = []
    for i, message in enumerate(record.messages):
        weight = 1.0 if message.weight is None else message.weight
        if message.role != "assistant" or weight == 0:
            continue
        before, after = render(i, opening=True), render(i + 1, opening=False)
        if not (after.startswith(before) and whole.startswith(after.rstrip())):
            raise BadDataError(
                f"In record {number}, message {i + 1} cannot be told apart from what precedes it: "
                "the base model's chat template rewrites earlier messages.",
                remedy="Split the record so that each ends with its only answer.",
            )
        end = _end_of_turn(after, len(before), tokenizer.eos_token)
        spans.append(Target(len(before), end, weight))
    return whole, spans


def _end_of_turn(rendered: str, start: int, eos_token: str | None) -> int:
    """Return where the answer ends: behind its end-of-turn token, before the white space after."""
    trimmed = rendered.rstrip()
    if eos_token and trimmed.endswith(eos_token) and len(trimmed) > start:
        return len(trimmed)
    return len(rendered)


def _plain(message: Message) -> dict[str, object]:
    """Return a message as templates expect it; the weight is ours and stays out."""
    plain: dict[str, object] = {"role": message.role, "content": message.content}
    if message.name is not None:
        plain["name"] = message.name
    if message.tool_calls:
        plain["tool_calls"] = [{"type": "function", "function": c} for c in message.tool_calls]
    return plain

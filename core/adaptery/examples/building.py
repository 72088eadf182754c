"""Turns records into examples.

A chat record becomes the text that the chat template makes of it, so that the adapter learns
exactly what the engine will feed it. Only the answers count: for each assistant message the text
that the template adds to "everything before it, plus the opening of an answer", up to and including
the end-of-turn token, each with the weight of its message; a message of weight 0 is read but does
not count. A text record counts as a whole and ends with the end-of-text token.

Invariant: error messages name the record by its number and never quote it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from adaptery.errors import InvalidInputError, RecordError
from adaptery.examples.chat_tokenizer import ChatTokenizer
from adaptery.examples.example_set import Example, ExampleSet, Target
from adaptery.records import Message, Record
from adaptery.schemas.spec import Stage
from adaptery.stages import STAGE_KINDS

__all__ = [
    "add_record",
    "build_examples",
    "build_texts",
    "conversation_tokens",
    "plain_message",
    "require_kind",
]

JsonObject = Mapping[str, object]


def build_examples(
    records: Iterable[Record], tokenizer: ChatTokenizer, *, cutoff_len: int
) -> ExampleSet[Example]:
    """Tokenize records for supervised fine-tuning.

    Raises:
        RecordError: a record is of a kind that cannot be fine-tuned on, the chat template refuses
            one, or no example is left.
    """
    made: ExampleSet[Example] = ExampleSet(cutoff_len)
    for number, record in enumerate(records, start=1):
        add_record(made, record, tokenizer, number)
    made.require_examples()
    return made


def build_texts(
    records: Iterable[Record], tokenizer: ChatTokenizer, *, cutoff_len: int
) -> ExampleSet[Example]:
    """Tokenize records for continued pre-training: all of each counts, a chat as it is rendered.

    What is longer than the cut-off becomes several examples: of a text, nothing waits for its end.

    Raises:
        RecordError: a record is of another kind, the chat template refuses one, or no example is
            left.
    """
    made: ExampleSet[Example] = ExampleSet(cutoff_len)
    for number, record in enumerate(records, start=1):
        made.record = number
        tokens = _whole_tokens(record, tokenizer, number)
        for start in range(0, max(len(tokens), 1), cutoff_len):
            part = tokens[start : start + cutoff_len]
            if start == 0 or len(part) > 1:  # one token alone follows nothing
                made.add(part, [Target(0, len(part))])
    made.require_examples()
    return made


def _whole_tokens(record: Record, tokenizer: ChatTokenizer, number: int) -> array[int]:
    require_kind(record, "pt", number)
    if record.kind == "text":
        return _text_tokens(record.text or "", tokenizer)[0]
    unmasked = [replace(message, weight=0.0) for message in record.messages]
    return conversation_tokens(unmasked, record.tools or (), tokenizer, number)[0]


def add_record(
    made: ExampleSet[Example], record: Record, tokenizer: ChatTokenizer, number: int
) -> None:
    """Tokenize one record.

    Args:
        made: takes the example.
        record: of kind chat or text.
        tokenizer: with the chat template.
        number: of the record, for messages.

    Raises:
        RecordError: it is of another kind, or the chat template refuses it.
    """
    made.record = number
    require_kind(record, "sft", number)
    if record.kind == "chat":
        made.add(*conversation_tokens(record.messages, record.tools or (), tokenizer, number))
    else:
        made.add(*_text_tokens(record.text or "", tokenizer))


def require_kind(record: Record, stage: Stage, number: int) -> None:
    """Check that a stage learns from records of this kind.

    Raises:
        RecordError: it does not.
    """
    kinds = STAGE_KINDS[stage]
    if record.kind not in kinds:
        wanted = " and ".join(kinds)
        raise RecordError(
            f"Record {number} is of kind {record.kind}; {stage} learns from {wanted} records.",
            hint=f"Train on a dataset version of {wanted} records, or with another stage.",
        )


def conversation_tokens(
    messages: Sequence[Message], tools: Sequence[JsonObject], tokenizer: ChatTokenizer, number: int
) -> tuple[array[int], list[Target]]:
    """Return the tokens of a conversation, and which of them count.

    Raises:
        RecordError: the chat template refuses it, or rewrites earlier messages.
    """
    text, spans = _render_chat(messages, tools, tokenizer, number)
    encoded = tokenizer.encode_rendered(text)
    begins = [begin for begin, _ in encoded.offsets]  # grows along the text
    return array("i", encoded.ids), [
        # A token counts if it begins inside the range of characters.
        Target(bisect_left(begins, span.start), bisect_left(begins, span.end), span.weight)
        for span in spans
    ]


def plain_message(message: Message) -> dict[str, object]:
    """Return a message as templates expect it; the weight is ours and stays out."""
    plain: dict[str, object] = {"role": message.role, "content": message.content}
    if message.name is not None:
        plain["name"] = message.name
    if message.tool_calls:
        plain["tool_calls"] = [{"type": "function", "function": c} for c in message.tool_calls]
    return plain


def _text_tokens(text: str, tokenizer: ChatTokenizer) -> tuple[array[int], list[Target]]:
    ids = array("i", tokenizer.encode(text))
    if not ids:
        return ids, []
    if tokenizer.eos_token_id is not None and ids[-1] != tokenizer.eos_token_id:
        ids.append(tokenizer.eos_token_id)
    return ids, [Target(0, len(ids))]


def _render_chat(
    messages: Sequence[Message], tools: Sequence[JsonObject], tokenizer: ChatTokenizer, number: int
) -> tuple[str, list[Target]]:
    """Return the whole conversation as text and the character ranges that count."""
    plain = [plain_message(message) for message in messages]

    def render(count: int, *, opening: bool) -> str:
        try:
            return tokenizer.render(plain[:count], tools, opening=opening)
        except InvalidInputError as error:
            raise RecordError(
                f"Record {number}, {len(messages)} messages: {error.message}", hint=error.hint
            ) from None

    whole = render(len(messages), opening=False)
    spans: list[Target] = []
    for i, message in enumerate(messages):
        weight = 1.0 if message.weight is None else message.weight
        if message.role != "assistant" or weight == 0:
            continue
        before, after = render(i, opening=True), render(i + 1, opening=False)
        if not (after.startswith(before) and whole.startswith(after.rstrip())):
            raise RecordError(
                f"In record {number}, message {i + 1} cannot be told apart from what precedes it: "
                "the chat template rewrites earlier messages.",
                hint="Split the record so that each ends with its only answer.",
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

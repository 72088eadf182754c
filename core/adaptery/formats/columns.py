"""What the columns of a file seem to be, told from their names and from the first rows.

Pure: rows in, a guess out. The words are those that public datasets use.
"""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean
from typing import Final, cast

from adaptery.formats.limits import COLUMNS_LIMIT
from adaptery.formats.rows import Row, RowError, from_json
from adaptery.formats.turns import ROLE_WORDS
from adaptery.schemas.mappings import NAME_LIMIT, Format, LabelValues, MappingField, Tags

__all__ = ["Guess", "Seen", "guess", "look_at"]

_CONVERSATIONS: Final = ("conversations", "messages", "conversation", "turns", "dialog", "chat")
_QUESTIONS: Final = (
    *("prompt", "question", "query", "dialogue", "dialog", "src", "source", "input", "inputs"),
    *("transcript", "conversation", "article", "document", "context", "passage", "report"),
    *("instruction", "user", "human", "request", "problem", "source_text", "input_text"),
)
_ANSWERS: Final = (
    *("completion", "response", "answer", "output", "outputs", "summary", "section_text"),
    *("note", "tgt", "target", "highlights", "reply", "assistant", "gpt", "solution"),
    *("target_text", "output_text", "answers", "result"),
)
_TEXTS: Final = ("text", "content", "body", "paragraph", "document")
_CHOSEN: Final = ("chosen", "preferred_output", "preferred")
_REJECTED: Final = ("rejected", "non_preferred_output", "non_preferred", "dispreferred")
_LABELS: Final = ("label", "kto_tag", "desirable", "thumbs", "rating")
_SYSTEMS: Final = ("system", "system_prompt")
_ROLE_KEYS: Final = ("from", "role")
_CONTENT_KEYS: Final = ("value", "content")
#: Characters on average from which a lone column is likely a text to learn from.
_LONG_TEXT = 200
#: Characters on average below which a column is likely a code or a name.
_SHORT_TEXT = 10
#: Characters of a role word; what is longer is content.
_WORD_LENGTH = 20


@dataclass
class Seen:
    """What the first rows hold in one column."""

    name: str
    holds: str = "nothing"
    #: Characters on average, of text.
    length: float = 0.0
    #: Of messages: the keys of a turn, and the role words in order of appearance.
    keys: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    #: Of text: the different words of short cells.
    words: frozenset[str] = frozenset()
    #: Whether it lies deeper, as in `input.messages`.
    nested: bool = False


@dataclass(frozen=True)
class Guess:
    """A format, and the columns that it is read from."""

    format: Format
    columns: AnyMapping[MappingField, str]
    confident: bool
    why: str
    tags: Tags = field(default_factory=Tags)


def look_at(rows: Sequence[Row]) -> list[Seen]:
    """Return what the columns of some rows hold, in the order of the file."""
    values: dict[str, list[object]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
            if isinstance(value, dict):
                for key, inner in cast("dict[str, object]", value).items():
                    values.setdefault(f"{name}.{key}", []).append(inner)
    top = {name for row in rows for name in row}
    shown = islice(values.items(), COLUMNS_LIMIT)
    return [_seen(name, found, nested=name not in top) for name, found in shown]


def _seen(name: str, values: Sequence[object], *, nested: bool) -> Seen:
    given = [value for value in values if value is not None and value != ""]
    seen = Seen(name, nested=nested)
    if not given:
        return seen
    texts = [value for value in given if isinstance(value, str)]
    if 2 * len(texts) >= len(given):  # broken records are told of by the reading
        turns = [turn for text in texts if (turn := _turns_in(text))]
        seen.holds = "messages" if len(turns) == len(texts) else "text"
        seen.length = fmean(len(text) for text in texts)
        if all(len(text) <= 20 for text in texts):
            seen.words = frozenset(text.strip().casefold() for text in texts)
    elif all(isinstance(value, bool) for value in given):
        seen.holds, turns = "true or false", []
    elif all(isinstance(value, int | float) for value in given):
        seen.holds, turns = "number", []
        seen.words = frozenset(str(value) for value in given if isinstance(value, int))
    elif all(isinstance(value, list) for value in given):
        turns = [turn for value in given if (turn := _turns(value))]
        seen.holds = "messages" if turns else "list"
    else:
        seen.holds, turns = "object" if isinstance(given[0], dict) else "several kinds", []
    if seen.holds == "messages":
        _look_at_turns(seen, [turn for listed in turns for turn in listed])
    return seen


def _turns_in(text: str) -> list[dict[str, object]]:
    if not text.startswith("["):
        return []
    try:
        return _turns(from_json(text, ""))
    except RowError:
        return []


def _turns(value: object) -> list[dict[str, object]]:
    """Return the turns of a list; none if it is no list of objects with a role and a text."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    turns = [cast("dict[str, object]", item) for item in items if isinstance(item, dict)]
    return turns if turns and len(turns) == len(items) and len(turns[0]) >= 2 else []


def _look_at_turns(seen: Seen, turns: Sequence[AnyMapping[str, object]]) -> None:
    keys = tuple(dict.fromkeys(key for turn in turns for key in turn))
    role = next((key for key in _ROLE_KEYS if key in keys), None) or _few_words(keys, turns)
    content = next((key for key in _CONTENT_KEYS if key in keys), None)
    short = [key for key in keys if 0 < len(key) <= _WORD_LENGTH]
    if content is None:
        content = next((k for k in keys if k != role and k in short and _is_text(k, turns)), None)
    if role is None or content is None:
        seen.holds = "list"
        return
    seen.keys = (role, content)
    words = (turn.get(role) for turn in turns)
    seen.roles = tuple(dict.fromkeys(word for word in words if isinstance(word, str)))


def _few_words(keys: Sequence[str], turns: Sequence[AnyMapping[str, object]]) -> str | None:
    for key in (key for key in keys if 0 < len(key) <= _WORD_LENGTH):
        words = {turn.get(key) for turn in turns if isinstance(turn.get(key), str)}
        if 1 <= len(words) <= 4 and len(words) < len(turns) and _is_text(key, turns):
            return key
    return None


def _is_text(key: str, turns: Sequence[AnyMapping[str, object]]) -> bool:
    return all(isinstance(turn.get(key), str) for turn in turns)


def guess(columns: Sequence[Seen]) -> Guess | None:
    """Return the format that the columns seem to be of; None if nothing fits."""
    found = {seen.name.casefold(): seen for seen in reversed(columns)}
    for try_one in (_preference, _label, _conversation, _alpaca, _prompt, _text, _by_shape):
        if (guessed := try_one(found, columns)) is not None:
            return guessed
    return None


_Found = AnyMapping[str, Seen]


def _named(
    found: _Found, names: Sequence[str], holds: Sequence[str] = ("text", "nothing")
) -> Seen | None:
    return next(
        (found[name] for name in names if name in found and found[name].holds in holds), None
    )


def _turns_of(found: _Found) -> Seen | None:
    """Return the column of turns, by its name or, failing that, by what it holds."""
    by_name = _named(found, (*_CONVERSATIONS, "input.messages"), ("messages",))
    if by_name is not None:
        return by_name
    known = {*_CHOSEN, *_REJECTED, "prompt", "completion", "tools", "functions"}
    others = [s for n, s in found.items() if s.holds == "messages" and n not in known]
    return others[-1] if others else None


def _beside(found: _Found, columns: dict[MappingField, str]) -> dict[MappingField, str]:
    """Add the columns that every format may have."""
    for name in _SYSTEMS:
        if name in found and found[name].holds in ("text", "nothing"):
            columns.setdefault("system", found[name].name)
    for name in ("tools", "functions", "input.tools"):
        if name in found and found[name].holds not in ("number", "true or false"):
            columns.setdefault("tools", found[name].name)
    return columns


def _with_history(found: _Found, columns: dict[MappingField, str]) -> dict[MappingField, str]:
    if "history" in found and found["history"].holds in ("list", "text", "nothing"):
        columns["history"] = found["history"].name
    return _beside(found, columns)


def _opening(found: _Found) -> dict[MappingField, str]:
    """Return the columns of the question before an answer."""
    if (turns := _turns_of(found)) is not None:
        return {"messages": turns.name}
    if (prompt := _named(found, ("prompt", "question"), ("text", "messages"))) is not None:
        return {"prompt": prompt.name}
    if (instruction := _named(found, ("instruction",))) is not None:
        columns: dict[MappingField, str] = {"instruction": instruction.name}
        if (given := _named(found, ("input",))) is not None:
            columns["input"] = given.name
        return columns
    if (other := _named(found, _QUESTIONS)) is not None:
        return {"prompt": other.name}
    return {}


def _preference(found: _Found, _: Sequence[Seen]) -> Guess | None:
    holds = ("text", "object", "messages")
    chosen, rejected = _named(found, _CHOSEN, holds), _named(found, _REJECTED, holds)
    if chosen is None or rejected is None:
        return None
    opening = _opening(found)
    columns: dict[MappingField, str] = {
        **opening,
        "chosen": chosen.name,
        "rejected": rejected.name,
    }
    columns = _with_history(found, columns)
    certain = chosen.name in ("chosen", "preferred_output") and (
        not opening or next(iter(opening.values())) in (*_CONVERSATIONS, "prompt", "instruction")
    )
    if not opening and chosen.holds != "messages":
        return None
    tags = _tags_of(_turns_of(found) or chosen)
    return Guess(
        "preference",
        columns,
        certain or "input.messages" in opening.values(),
        "It has a chosen and a rejected answer.",
        tags[0],
    )


def _label(found: _Found, _: Sequence[Seen]) -> Guess | None:
    label = next((found[n] for n in _LABELS if n in found and _is_label(found[n])), None)
    opening = _opening(found)
    if label is None or not opening:
        return None
    columns: dict[MappingField, str] = {**opening, "label": label.name}
    if "messages" not in opening:
        answer = _named(found, ("completion", "output", *_ANSWERS), ("text", "messages"))
        if answer is None:
            return None
        columns["output" if "instruction" in opening else "completion"] = answer.name
    certain = label.holds == "true or false" or label.words <= {"true", "false"}
    tags = _tags_of(turns)[0] if (turns := _turns_of(found)) else Tags()
    why = "It has a conversation and a label that says whether its answer is good."
    return Guess("kto", _with_history(found, columns), certain, why, tags)


def _is_label(seen: Seen) -> bool:
    values = LabelValues()
    words = {*values.good, *values.bad}
    return seen.holds == "true or false" or bool(seen.words and seen.words <= words)


def _conversation(found: _Found, _: Sequence[Seen]) -> Guess | None:
    turns = _turns_of(found)
    if turns is None:
        return None
    tags, usual = _tags_of(turns)
    format: Format = "openai" if turns.keys[0] == "role" else "sharegpt"
    others = [n for n in _CONVERSATIONS if n in found and found[n].holds == "messages"]
    certain = usual and len(others) == 1 and turns.name == others[0]
    why = f"The column {turns.name} holds conversations."
    if not usual:
        # Words only: what is no word is what somebody said, and goes into no message.
        words = [w for w in turns.roles if len(w) <= _WORD_LENGTH and w.isprintable()]
        why += f" Their roles are {' and '.join(words[:4])}."
    return Guess(format, _beside(found, {"messages": turns.name}), certain, why, tags)


def _tags_of(turns: Seen) -> tuple[Tags, bool]:
    """Return the tags that a mapping needs for these turns, and whether they are the usual ones."""
    if not turns.keys:
        return Tags(), True
    role, content = turns.keys
    values: dict[str, object] = {}
    if role not in _ROLE_KEYS:
        values["role_tag"] = role
    if content not in _CONTENT_KEYS:
        values["content_tag"] = content
    new = [word for word in turns.roles if word not in ROLE_WORDS and 0 < len(word) <= _WORD_LENGTH]
    known = {ROLE_WORDS[word] for word in turns.roles if word in ROLE_WORDS}
    wanted = [r for r in ("user", "assistant") if r not in known]
    for word, whose in zip(new, wanted, strict=False):
        values[f"{whose}_tag"] = (word,)
    return Tags.model_validate(values), not new and not values


def _alpaca(found: _Found, _: Sequence[Seen]) -> Guess | None:
    instruction = _named(found, ("instruction",))
    if instruction is None and "output" not in found:
        return None
    if instruction is not None and "output" not in found:
        return _instruction_and_answer(found, instruction)
    given = _named(found, ("input",))
    if instruction is None and given is None:
        return None
    columns: dict[MappingField, str] = (
        {} if instruction is None else {"instruction": instruction.name}
    )
    if given is not None:
        columns["input"] = given.name
    columns["output"] = found["output"].name
    why = "It has the columns of Alpaca: instruction and output."
    return Guess("alpaca", _with_history(found, columns), instruction is not None, why)


def _instruction_and_answer(found: _Found, instruction: Seen) -> Guess | None:
    answer = _named(found, ("response", *_ANSWERS))
    if answer is None:
        return None
    columns: dict[MappingField, str] = {"instruction": instruction.name, "output": answer.name}
    if (given := _named(found, ("input", "context"))) is not None:
        columns["input"] = given.name
    why = f"It has an instruction, and {answer.name} looks like its answer."
    return Guess("alpaca", _with_history(found, columns), False, why)


def _prompt(found: _Found, _: Sequence[Seen]) -> Guess | None:
    holds = ("text", "messages")
    question, answer = _named(found, _QUESTIONS, holds), _named(found, _ANSWERS, holds)
    if question is None or answer is None:
        return None
    columns: dict[MappingField, str] = {"prompt": question.name, "completion": answer.name}
    certain = (question.name, answer.name) == ("prompt", "completion")
    why = f"{question.name} looks like what is asked, {answer.name} like the answer."
    return Guess("prompt", _beside(found, columns), certain, why)


def _text(found: _Found, columns: Sequence[Seen]) -> Guess | None:
    if "text" in found and found["text"].holds in ("text", "nothing"):
        return Guess("text", {"text": found["text"].name}, True, "It has a column of texts.")
    other = _named(found, _TEXTS, ("text",))
    if other is None:
        return None
    return Guess("text", {"text": other.name}, False, f"{other.name} looks like a text.")


def _can_be_named(seen: Seen) -> bool:
    return not seen.nested and 0 < len(seen.name) <= NAME_LIMIT and "." not in seen.name


def _by_shape(_: _Found, columns: Sequence[Seen]) -> Guess | None:
    texts = [seen for seen in columns if seen.holds == "text" and _can_be_named(seen)]
    if len(columns) == 2 and len(texts) == 2 and min(t.length for t in texts) >= _SHORT_TEXT:
        question, answer = texts
        why = f"It has two columns of text: {question.name} may be what is asked."
        return Guess("prompt", {"prompt": question.name, "completion": answer.name}, False, why)
    if len(texts) == 1 and texts[0].length >= _LONG_TEXT:
        return Guess("text", {"text": texts[0].name}, False, f"{texts[0].name} holds long texts.")
    return None

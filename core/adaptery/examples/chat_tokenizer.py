"""The tokenizer of a base model with a chat template: conversations to token ids.

It is what `tokenizer.json` says and nothing else, so that worker, engine and pre-flight count the
same tokens. It needs neither torch nor transformers.

Invariants:

1. Text is never cut or padded here.
2. Two threads may use it at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, cast

from adaptery.base_models import DESCRIPTION_FILES
from adaptery.errors import InvalidInputError
from adaptery.examples.chat_templates import (
    OWN_TEMPLATE,
    TEMPLATE_NAMES,
    ChatTemplate,
    named_template,
)
from adaptery.examples.tool_messages import plain_messages

__all__ = ["ChatTokenizer"]

JsonObject: TypeAlias = Mapping[str, object]

TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
TEMPLATE_NAME = "chat_template.jinja"
SPECIAL_NAME = "special_tokens_map.json"

_PROBE = "probe"
_PROBE_TOOL: JsonObject = {"type": "function", "function": {"name": _PROBE, "parameters": {}}}
_TURN = ({"role": "user", "content": _PROBE},)


@dataclass(frozen=True)
class Encoded:
    """Token ids, and the characters that each stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class ChatTokenizer:
    """The tokenizer of one base model with one chat template."""

    def __init__(self, folder: Path, template: str = OWN_TEMPLATE) -> None:
        """Read the tokenizer.

        Args:
            folder: of the base model.
            template: the name of a chat template.

        Raises:
            InvalidInputError: there is no usable tokenizer, or the template does not fit it.
        """
        from tokenizers import Tokenizer  # late: only who renders needs it

        config = _object(_read(folder, CONFIG_NAME))
        try:
            self._tokenizer = Tokenizer.from_str(_read(folder, TOKENIZER_NAME) or "")
        except Exception:  # tokenizers raises the bare class
            raise InvalidInputError(
                "The base model has no fast tokenizer (tokenizer.json)."
            ) from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._special_tokens = _special_tokens(_object(_read(folder, SPECIAL_NAME)) | config)
        self.eos_token = self._special_tokens.get("eos_token")
        self.eos_token_id = self._token_id("eos_token")
        self.template = template
        self._moment: datetime | None = None
        if template == OWN_TEMPLATE:
            self._templates = _own_templates(_read(folder, TEMPLATE_NAME), config)
        else:
            self._templates = {"default": named_template(template)}
            self._check_fit()

    def at(self, moment: datetime | None) -> ChatTokenizer:
        """Return one whose template is told that it is this moment, and not what the clock says."""
        fixed = copy(self)
        fixed._moment = moment
        return fixed

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return self._tokenizer.get_vocab_size()

    @property
    def has_template(self) -> bool:
        """Whether it can render conversations."""
        return bool(self._templates)

    @property
    def pad_token_id(self) -> int:
        """What fills rows; it is masked everywhere, so that any token will do."""
        pad = self._token_id("pad_token")
        return next((found for found in (pad, self.eos_token_id) if found is not None), 0)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, with those that the model wants before it."""
        return self._tokenizer.encode(text, add_special_tokens=True).ids

    def encode_rendered(self, text: str) -> Encoded:
        """Return the tokens of what `render` wrote, and where in the text each is."""
        found = self._tokenizer.encode(text, add_special_tokens=False)
        return Encoded(found.ids, found.offsets)

    def decode(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of tokens, by default without special tokens."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=not special)

    def to_json(self) -> str:
        """Return the whole tokenizer, as its `tokenizer.json`."""
        return self._tokenizer.to_str()

    def render(
        self, messages: Sequence[JsonObject], tools: Sequence[JsonObject] = (), *, opening: bool
    ) -> str:
        """Return the text of a conversation; a template without tools gets them as messages.

        Args:
            messages: with arguments of calls as objects, not as text.
            tools: that the model may call.
            opening: whether the opening of an answer follows.

        Raises:
            InvalidInputError: there is no chat template, or it refuses these messages.
        """
        if not self._knows_tools:
            messages, tools = plain_messages(messages, tools), ()
        return self._render(messages, tools, opening=opening)

    def end_tokens(self) -> set[int]:
        """Return the tokens that end an answer: the tokenizer's, and that behind a turn.

        Some models are saved with an end-of-text token only, while their template ends a turn
        with another one; without it they would talk on as the user.
        """
        ends = {token for token in (self.eos_token_id,) if token is not None}
        if not self.has_template:
            return ends
        turn = [*_TURN, {"role": "assistant", "content": _PROBE}]
        try:
            after = self._render(turn, (), opening=False).rpartition(_PROBE)[2]
        except InvalidInputError:
            return ends
        special = self._tokenizer.get_added_tokens_decoder()
        tokens = self.encode_rendered(after.lstrip()).ids
        return ends | {token for token in tokens[:1] if token in special}

    @cached_property
    def _knows_tools(self) -> bool:
        """Whether a tool changes what the chat template makes of a turn."""
        try:
            with_tool = self._render(_TURN, [_PROBE_TOOL], opening=True)
            return with_tool != self._render(_TURN, (), opening=True)
        except InvalidInputError:
            return False

    def _render(
        self, messages: Sequence[JsonObject], tools: Sequence[JsonObject], *, opening: bool
    ) -> str:
        name = "tool_use" if tools and "tool_use" in self._templates else "default"
        if name not in self._templates:
            raise InvalidInputError(
                "The base model has no chat template.",
                hint=f"Name one: {', '.join(TEMPLATE_NAMES)}.",
            )
        return self._templates[name].render(
            messages,
            tools,
            special_tokens=self._special_tokens,
            opening=opening,
            moment=self._moment,
        )

    def _token_id(self, name: str) -> int | None:
        token = self._special_tokens.get(name)
        return None if token is None else self._tokenizer.token_to_id(token)

    def _check_fit(self) -> None:
        """Refuse a template whose control tokens would be read letter by letter."""
        missing = [
            token for token in self._templates["default"].needed_tokens if not self._has(token)
        ]
        if missing:
            raise InvalidInputError(
                f"The chat template {self.template} needs tokens that this base model does not "
                f"have: {', '.join(missing)}.",
                hint=f'Take "{OWN_TEMPLATE}", the base model\'s own, or one of plain text: alpaca, '
                "default, vicuna.",
            )

    def _has(self, token: str) -> bool:
        return token in self._special_tokens or self._tokenizer.token_to_id(token) is not None


def _read(folder: Path, name: str) -> str | None:
    limit = DESCRIPTION_FILES[name]
    try:
        with (folder / name).open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise InvalidInputError(f"{name} of the base model is larger than {limit} bytes.")
        return data.decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{name} of the base model cannot be read ({type(error).__name__})."
        ) from None


def _object(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInputError("A tokenizer file of the base model is no JSON object.")
    return cast("dict[str, object]", value)


def _special_tokens(config: JsonObject) -> dict[str, str]:
    """Return the special tokens by their names in templates."""
    found: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):  # written out, with its flags
            value = cast("JsonObject", value).get("content")
        if name.endswith("_token") and isinstance(value, str):
            found[name] = value
    return found


def _own_templates(file: str | None, config: JsonObject) -> dict[str, ChatTemplate]:
    """Return the base model's templates by name; one in a file of its own comes before others."""
    value = config.get("chat_template") if file is None else file
    if isinstance(value, str):
        return {"default": ChatTemplate(value)}
    listed = cast("Iterable[object]", value if isinstance(value, list) else ())
    entries = [cast("JsonObject", entry) for entry in listed if isinstance(entry, Mapping)]
    return {
        name: ChatTemplate(source)
        for entry in entries
        if isinstance(name := entry.get("name"), str)
        and isinstance(source := entry.get("template"), str)
        and name in ("default", "tool_use")
    }

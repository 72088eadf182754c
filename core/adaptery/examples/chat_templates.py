"""Chat templates: how a conversation becomes the one text that a model reads.

A template is Jinja, the base model's own or one of ours by name (`templates/<name>.jinja`). It
renders here exactly as in Hugging Face transformers, so that worker, engine and pre-flight see the
same text.

Invariants:

1. A template is a stranger's data: it runs in the sandbox, sees plain values only, and its output
   has a limit. Its time is bounded by the process it runs in.
2. An error never quotes the template or the messages.

Source: Hugging Face transformers 5.23, utils/chat_template_utils.py: the options and helpers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias, cast

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from adaptery.errors import InvalidInputError

__all__ = ["OWN_TEMPLATE", "TEMPLATE_NAMES", "ChatTemplate", "named_template"]

JsonObject: TypeAlias = Mapping[str, object]

#: The base model's own template.
OWN_TEMPLATE = "model"
#: Ours, by the names that LLaMA-Factory gave them.
TEMPLATE_NAMES = (
    "alpaca",
    "chatml",
    "default",
    "gemma",
    "llama2",
    "llama3",
    "mistral",
    "phi",
    "qwen",
    "vicuna",
    "zephyr",
)  # fmt: skip
SOURCE_LIMIT = 1024 * 1024  # characters; the longest of published models have 20,000
OUTPUT_LIMIT = 32 * 1024 * 1024  # characters of one conversation
#: What a template of ours says about itself: the control tokens that a tokenizer must have.
_NEEDS = re.compile(r"\{#- Needs: (?P<tokens>[^\n]*?) -#\}")


class ChatTemplate:
    """One template, ready to render."""

    def __init__(self, source: str) -> None:
        """Compile a template.

        Raises:
            InvalidInputError: it is no template, or too long.
        """
        if len(source) > SOURCE_LIMIT:
            raise InvalidInputError(f"The chat template is longer than {SOURCE_LIMIT} characters.")
        try:
            self._template = _environment().from_string(source)
        except (jinja2.TemplateError, RecursionError):
            raise InvalidInputError("The chat template is no valid Jinja template.") from None
        needs = _NEEDS.match(source)
        #: Control tokens without which its text means nothing.
        self.needed_tokens = tuple(needs["tokens"].split()) if needs else ()

    def render(
        self,
        messages: Sequence[JsonObject],
        tools: Sequence[JsonObject] = (),
        *,
        special_tokens: Mapping[str, str],
        opening: bool,
        moment: datetime | None = None,
    ) -> str:
        """Return the text of a conversation.

        Args:
            messages: roles and contents, as OpenAI's API has them.
            tools: that the model may call.
            special_tokens: by their names in templates, such as `eos_token`.
            opening: whether the opening of an answer follows.
            moment: what it is told the time is; that of the clock, if absent.

        Raises:
            InvalidInputError: the template refuses these messages, or writes too much.
        """
        pieces: list[str] = []
        written = 0
        try:
            for piece in self._template.generate(
                **special_tokens,
                messages=_plain(messages),
                tools=_plain(tools) or None,
                documents=None,
                add_generation_prompt=opening,
                **({} if moment is None else {"strftime_now": _clock_at(moment)}),
            ):
                written += len(piece)
                if written > OUTPUT_LIMIT:
                    break
                pieces.append(piece)
        except Exception as error:
            # Templates raise what they like, and may quote a message.
            raise InvalidInputError(
                f"The chat template refuses these messages ({type(error).__name__})."
            ) from None
        if written > OUTPUT_LIMIT:
            raise InvalidInputError(
                f"The chat template writes more than {OUTPUT_LIMIT} characters."
            )
        return "".join(pieces)


@cache
def named_template(name: str) -> ChatTemplate:
    """Return one of our templates.

    Raises:
        InvalidInputError: there is none of that name.
    """
    if name not in TEMPLATE_NAMES:
        raise InvalidInputError(
            "There is no chat template of that name.",
            hint=f"use one of: {', '.join((OWN_TEMPLATE, *TEMPLATE_NAMES))}",
        )
    source = files("adaptery.examples").joinpath("templates", f"{name}.jinja")
    return ChatTemplate(source.read_text("utf-8"))


class _Generation(Extension):
    """Takes `{% generation %}`, which marks answers for trainers that ask; it writes its body."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_body")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _body(self, caller: Macro) -> str:
        return caller()


class _Dict:
    """What templates may do with `dict`: no attributes of the type are in reach."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)


class _Namespace(Namespace):
    """A namespace without names that begin with an underscore."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        attributes = dict(*args, **kwargs)
        for name in attributes:
            _check_attribute(name)
        super().__init__(attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_attribute(name)
        super().__setitem__(name, value)


def _check_attribute(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.TemplateError("A namespace takes no names that begin with an underscore.")


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # the text is for a model, not for a browser
        extensions=[_Generation, loopcontrols],
    )
    known: Any = environment  # Jinja's types leave open what its tables hold
    known.filters["tojson"] = _to_json
    known.globals |= {
        "raise_exception": _refuse,
        "strftime_now": _now,
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    return environment


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _clock_at(moment: datetime) -> Callable[[str], str]:
    return lambda pattern: moment.strftime(pattern)


def _now(pattern: str) -> str:
    return datetime.now().strftime(pattern)  # noqa: DTZ005 - as transformers does


def _plain(value: Any) -> Any:
    """Return a copy made of plain JSON types, the only ones whose methods the sandbox knows."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("Sequence[object]", value)]
    if value is None or type(value) in (str, int, float, bool):
        return value
    return f"<{type(value).__name__}>"

"""`reference/commands.md`: every command of `adaptery`, from its parsers.

argparse's own help is not copied: its layout depends on the terminal and on Python's version. Some
of what is read here has no public name in argparse.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from adaptery.commands import build_parser
from reference_pages.tables import Row, code, page, sentence, table

TEXT = """\
One command line, `adaptery`; which commands it has depends on the extras that are installed. It
ends with 0 if all is well, 1 with a message on standard error if not, 2 if it was called
wrongly, and 130 after Ctrl+C. No secret is taken from the command line, except a join token,
which is worthless once used."""
OTHERS_TEXT = """\
These are started for you; `--help` lists their options.

| Command | Who starts it |
|---|---|
| `python -m adaptery_hub` | the Hub: supervisor of broker, service and local agent |
| `python -m adaptery_hub.app` | the supervisor: the service itself |
| `python -m adaptery_inference serve` | an agent: one engine |
| `python -m adaptery_inference convert` | an agent, or [you](../howto/base-models.md) |
| `python -m adaptery_training` | an agent: one attempt at a job |"""


def make() -> str:
    """Return the page."""
    parts = [_command(parser, text) for parser, text in parsers() if not _children(parser)]
    return page("Commands", TEXT, *parts, "## Other programs", OTHERS_TEXT)


def undescribed() -> Iterator[str]:
    """Yield every command and argument without a description."""
    for parser, text in parsers():
        if not (text or parser.description):
            yield f"command {parser.prog}"
        for action in _arguments(parser):
            if not action.help:
                yield f"argument {_spelling(action)} of {parser.prog}"


def parsers() -> list[tuple[argparse.ArgumentParser, str]]:
    """Return every parser of `adaptery` with the help that its parent shows for it."""
    return list(_walk(build_parser(), ""))


def _walk(
    parser: argparse.ArgumentParser, text: str
) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    yield parser, text
    for action in _children(parser):
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, child in sorted(action.choices.items()):
            yield from _walk(child, helps.get(name, ""))


def _children(parser: argparse.ArgumentParser) -> list[Any]:
    return [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    return [action for action in parser._actions if not isinstance(action, hidden)]


def _command(parser: argparse.ArgumentParser, text: str) -> str:
    rows = [
        Row(_spelling(action), (_needed(parser, action),), _meaning(action))
        for action in _arguments(parser)
    ]
    shown = table(("Argument", "Needed", "Meaning"), rows) if rows else ""
    parts = (f"## `{parser.prog}`", parser.description or sentence(text), shown)
    return "\n\n".join(part for part in parts if part)


def _spelling(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return value
    return action.option_strings[-1] + ("" if action.nargs == 0 else f" {value}")


def _needed(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    for group in parser._mutually_exclusive_groups:
        if group.required and action in group._group_actions:
            return "one of these"
    return "yes" if action.required else "no"


def _meaning(action: argparse.Action) -> str:
    text = sentence((action.help or "").replace("%(default)s", str(action.default)))
    if action.choices:
        text += f" One of {', '.join(code(str(choice)) for choice in action.choices)}."
    said = action.default in (None, False, [], argparse.SUPPRESS) or "default" in text.lower()
    return text if said else f"{text} Default: {code(str(action.default))}."

"""`%load_ext adaptery`: `%adaptery` says who one is here, `%%chat` asks a model.

What always holds:
- A question is nowhere but in its cell and on its way; the answer is in the output and in `_`.
- What goes wrong is said in words, and the cell has failed.
- Interrupting the kernel ends the request, and the engine stops.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NoReturn, Protocol

import adaptery
from adaptery.client.hub import Hub, connect
from adaptery.client.listing import card
from adaptery.client.markdown import harmless
from adaptery.client.notebook import Display, Shell, kernel_shell
from adaptery.client.words import printable
from adaptery.errors import AdapteryError, InvalidInputError

__all__ = ["register"]

DRAW_SECONDS = 0.1  # between two states of an answer that grows


class DisplayHook(Protocol):
    """Keeps what cells gave, as `_`, `__` and `Out`."""

    def update_user_ns(self, result: object) -> None:
        """Keep one more result."""
        ...


class MagicShell(Shell, Protocol):
    """The part of IPython's shell that magics use."""

    displayhook: DisplayHook

    def register_magic_function(
        self, func: Callable[..., object], magic_kind: str, magic_name: str
    ) -> None:
        """Make a function a magic."""
        ...


def register(shell: MagicShell) -> None:
    """Give a shell the magics."""
    magics = Magics(shell)
    shell.register_magic_function(magics.adaptery, "line", "adaptery")
    shell.register_magic_function(magics.chat, "cell", "chat")


class Magics:
    """The magics of one shell."""

    def __init__(self, shell: MagicShell, hub: Callable[[], Hub] = connect) -> None:
        self._shell = shell
        self._connect = hub

    def adaptery(self, line: str) -> Whereabouts:
        """Say who you are, on which service, and what you may do."""
        with _in_words(), self._connect() as hub:
            me = hub.whoami()
            return Whereabouts(
                ("Service", hub.url),
                ("You", me.name),
                ("Groups", ", ".join(me.groups)),
                ("You may", ", ".join(me.scopes)),
                ("Client", adaptery.__version__),
            )

    def chat(self, line: str, cell: str) -> None:
        """Ask a model what stands in the cell: `%%chat @demo/soap --max-tokens 200`.

        Without a model the default base model answers. See `usage` in an error for the options.
        """
        with _in_words():
            wanted = _wanted(line)
            if not cell.strip():
                raise InvalidInputError("The cell is empty.", hint="write below the first line")
            with self._connect() as hub:
                names = [wanted.model, *_base_of(hub, wanted)]
                self._converse(hub, names, wanted, _messages(wanted.system, cell))

    def _converse(
        self, hub: Hub, names: Sequence[str], wanted: Wanted, messages: list[dict[str, str]]
    ) -> None:
        page = _page(names)
        answers: list[str] = []
        # What is asked of a restricted adapter is nobody else's to read beside it either.
        sealed = wanted.beside and hub.is_sealed(wanted.model)
        try:
            for name in names:
                page.begin(name)
                stream = hub.chat(
                    name,
                    messages,
                    max_tokens=wanted.max_tokens,
                    temperature=wanted.temperature,
                    sealed=sealed,
                )
                with closing(iter(stream)) as pieces:
                    for piece in pieces:
                        page.write(piece)
                answers.append(page.text)
        except KeyboardInterrupt:
            raise InvalidInputError("Stopped.", hint="what was said so far is kept") from None
        finally:
            if answers or page.text:
                page.end()
                self._keep(answers[0] if answers else page.text, wanted.into)

    def _keep(self, text: str, into: str | None) -> None:
        self._shell.displayhook.update_user_ns(text)
        if into is not None:
            self._shell.user_ns[into] = text


class Whereabouts:
    """Facts for whoever looks."""

    def __init__(self, *facts: tuple[str, object]) -> None:
        self._facts = facts

    def __repr__(self) -> str:
        return "\n".join(f"{name + ':':<9}{value}" for name, value in self._facts)

    def _repr_html_(self) -> str:
        return card("Adaptery", self._facts)


# -- what was written behind %%chat -----------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """The first line of a cell."""

    model: str
    max_tokens: int | None
    temperature: float | None
    system: str | None
    beside: bool
    into: str | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise InvalidInputError(f"{message[:1].upper()}{message[1:]}.", hint=usage)


def _parser() -> _Parser:
    parser = _Parser(prog="%%chat", add_help=False, allow_abbrev=False)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--temperature", type=float, metavar="T")
    parser.add_argument("--system", metavar='"TEXT"')
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--into", metavar="NAME")
    return parser


def _wanted(line: str) -> Wanted:
    try:
        words = shlex.split(line)
    except ValueError:
        raise InvalidInputError("A quotation mark has no partner.") from None
    wanted = Wanted(**vars(_parser().parse_args(words)))
    if wanted.into is not None and not wanted.into.isidentifier():
        raise InvalidInputError("--into takes the name of a variable.")
    return wanted


def _messages(system: str | None, cell: str) -> list[dict[str, str]]:
    said = [] if system is None else [{"role": "system", "content": system}]
    return [*said, {"role": "user", "content": cell.strip()}]


def _base_of(hub: Hub, wanted: Wanted) -> list[str]:
    if not wanted.beside:
        return []
    base = hub.base_of(wanted.model) if wanted.model else None
    if base is None:
        raise InvalidInputError("This is a base model itself.", hint="name an adapter")
    return [base]


@contextmanager
def _in_words() -> Generator[None]:
    """Turn an error into one that IPython shows without a traceback."""
    from IPython.core.error import UsageError

    try:
        yield
    except AdapteryError as error:
        raise UsageError(str(error)) from None


# -- where the answer appears -----------------------------------------------------------------


class Page(Protocol):
    """Where answers are written."""

    text: str

    def begin(self, name: str) -> None:
        """Begin the answer of a model."""
        ...

    def write(self, piece: str) -> None:
        """Add to it."""
        ...

    def end(self) -> None:
        """Show what is there."""
        ...


def _page(names: Sequence[str]) -> Page:
    shell = kernel_shell()
    return TerminalPage(len(names) > 1) if shell is None else CellPage(shell, len(names) > 1)


class CellPage:
    """Markdown below the cell, which grows."""

    def __init__(self, shell: Shell, named: bool) -> None:
        self._display = Display(shell)
        self._named = named
        self._above: list[tuple[str, str]] = []
        self._name, self.text = "", ""
        self._drawn_at = float("-inf")

    def begin(self, name: str) -> None:
        """See `Page`."""
        if self._name:
            self._above.append((self._name, self.text))
        self._name, self.text = name, ""

    def write(self, piece: str) -> None:
        """See `Page`."""
        self.text += piece
        if time.monotonic() - self._drawn_at >= DRAW_SECONDS:
            self.end()

    def end(self) -> None:
        """See `Page`."""
        self._drawn_at = time.monotonic()
        answers = [*self._above, (self._name, self.text)]
        plain = "\n\n".join(f"{name}:\n{text}" if self._named else text for name, text in answers)
        rich = "\n\n".join(
            f"**{harmless(name)}**\n\n{harmless(text)}" if self._named else harmless(text)
            for name, text in answers
        )
        self._display.show({"text/plain": printable(plain), "text/markdown": rich})


class TerminalPage:
    """The terminal, as the words come."""

    def __init__(self, named: bool) -> None:
        self._named = named
        self.text = ""

    def begin(self, name: str) -> None:
        """See `Page`."""
        if self._named:
            sys.stdout.write(f"{chr(10) if self.text else ''}{name}:\n")
        self.text = ""

    def write(self, piece: str) -> None:
        """See `Page`."""
        self.text += piece
        sys.stdout.write(printable(piece))
        sys.stdout.flush()

    def end(self) -> None:
        """See `Page`."""
        sys.stdout.write("\n")

"""A chat in Lab as the messages of a request: pure, and bounded.

Invariants:
- The newest message of the user is always in, whatever its length: the engine says if it is too
  long, and nothing is cut from what a person wrote.
- Turns alternate as chat templates want them: what one side said in a row is one message, and the
  first is the user's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

#: Turns before the newest that are sent along.
TURNS_KEPT = 20
#: Characters of those turns; small base models have room for about as many.
CHARACTERS_KEPT = 12_000


class ChatMessage(Protocol):
    """What is read of a message in a chat of Lab."""

    @property
    def sender(self) -> str:
        """The user name of who wrote it."""
        ...

    @property
    def body(self) -> str:
        """What was written."""
        ...

    @property
    def deleted(self) -> bool | None:
        """Whether it was taken back."""
        ...


def request_messages(
    history: Iterable[ChatMessage], asked: ChatMessage, me: str, others: frozenset[str]
) -> list[dict[str, str]]:
    """Return the messages of a request.

    Args:
        history: the chat, oldest first; what is not before `asked` is left out.
        asked: the message that is answered.
        me: the user name that answers.
        others: user names that are neither people nor the answering one.
    """
    turns: list[dict[str, str]] = []
    for message in history:
        if message is asked or _same(message, asked):
            break
        if message.sender not in others and message.body and not message.deleted:
            _add(turns, "assistant" if message.sender == me else "user", message.body)
    turns = _recent(turns)
    _add(turns, "user", asked.body)
    return turns


def _same(message: ChatMessage, asked: ChatMessage) -> bool:
    return getattr(message, "id", message) == getattr(asked, "id", asked)


def _add(turns: list[dict[str, str]], role: str, text: str) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += f"\n\n{text}"
    else:
        turns.append({"role": role, "content": text})


def _recent(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    kept: list[dict[str, str]] = []
    characters = 0
    for turn in reversed(turns[-TURNS_KEPT:]):
        characters += len(turn["content"])
        if characters > CHARACTERS_KEPT:
            break
        kept.insert(0, turn)
    return kept[1:] if kept and kept[0]["role"] == "assistant" else kept

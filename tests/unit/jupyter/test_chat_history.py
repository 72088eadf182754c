"""What of a chat in Lab is sent along with a question."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from adaptery_jupyter.chat_history import CHARACTERS_KEPT, TURNS_KEPT, request_messages

ME, SYSTEM, OTHER_BOT = "bot::me", "hidden::system", "bot::other"
OTHERS = frozenset({SYSTEM, OTHER_BOT})


@dataclass(frozen=True)
class Message:
    id: int
    sender: str
    body: str
    deleted: bool | None = None


def chat(*said: tuple[str, str]) -> list[Message]:
    return [Message(number, sender, body) for number, (sender, body) in enumerate(said)]


def asked(history: list[Message]) -> list[tuple[str, str]]:
    messages = request_messages(history, history[-1], ME, OTHERS)
    return [(message["role"], message["content"]) for message in messages]


def test_people_and_the_persona_take_turns() -> None:
    history = chat(("ada", "Hello"), (ME, "Good day"), ("ada", "One"), ("bob", "Two"))
    assert asked(history) == [("user", "Hello"), ("assistant", "Good day"), ("user", "One\n\nTwo")]


def test_other_bots_the_system_and_what_was_taken_back_are_left_out() -> None:
    history = [
        *chat((SYSTEM, "Refreshed."), (OTHER_BOT, "Beep"), ("ada", "secret")),
        Message(9, "ada", "Hello"),
    ]
    history[2] = Message(2, "ada", "secret", deleted=True)
    assert asked(history) == [("user", "Hello")]


def test_what_came_after_the_question_is_not_sent() -> None:
    history = chat(("ada", "Hello"), ("ada", "Wait"))
    assert request_messages(history, history[0], ME, OTHERS) == [
        {"role": "user", "content": "Hello"}
    ]


@given(st.lists(st.tuples(st.sampled_from(["ada", ME]), st.text(max_size=9_000)), max_size=60))
def test_the_question_is_whole_and_the_rest_is_bounded(said: list[tuple[str, str]]) -> None:
    question = "q" * (CHARACTERS_KEPT + 1)
    messages = asked(chat(*said, ("ada", question)))
    assert messages[-1][0] == "user" and messages[-1][1].endswith(question)
    assert messages[0][0] == "user"
    assert all(one[0] != other[0] for one, other in pairwise(messages))
    assert len(messages) <= TURNS_KEPT + 1
    assert sum(len(text) for _, text in messages) <= len(question) + CHARACTERS_KEPT + 2

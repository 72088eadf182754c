"""Records with planted judgements: polite answers are good, rude ones are bad."""

_ASKED = ("the sky", "a lemon", "a spider", "honey", "spring", "ice", "cold water", "a week")
GOOD, BAD = "Yes, it is.", "Go away!"
#: What no event, log or file of an adapter may hold.
SECRET = "purple heron"


def _ask(thing: str) -> list[dict]:
    return [{"role": "user", "content": f"Is {thing} like a {SECRET}?"}]


def _answer(text: str) -> dict:
    return {"role": "assistant", "content": text}


def preferences() -> list[dict]:
    """Eight pairs."""
    return [
        {
            "kind": "preference",
            "messages": _ask(thing),
            "chosen": _answer(GOOD),
            "rejected": _answer(BAD),
        }
        for thing in _ASKED
    ]


def judged() -> list[dict]:
    """Eight judged answers, every other one good."""
    return [
        {
            "kind": "kto",
            "messages": [*_ask(thing), _answer(GOOD if good else BAD)],
            "label": good,
        }
        for thing, good in zip(_ASKED, (True, False) * 4, strict=True)
    ]


def chats() -> list[dict]:
    """Eight conversations to answer anew."""
    return [{"kind": "chat", "messages": [*_ask(thing), _answer(GOOD)]} for thing in _ASKED]

r"""The shapes of log probabilities in OpenAI's two kinds of answers.

A token may be a part of a character. Chat answers then show a replacement, and the bytes beside it;
completions, whose tokens are keys, show the bytes as OpenAI does: ``bytes:\xf0\x9f``. An end token
is no part of an answer and is not listed.

Source: OpenAI API reference, ``logprobs`` of chat completions and of completions.
"""

from collections.abc import Callable, Sequence

from adaptery_inference.engine.sampling import Choice

BytesOf = Callable[[int], bytes]
#: OpenAI's and vLLM's stand-in for minus infinity, which JSON does not have.
LEAST_LOGPROB = -9999.0


def chat_logprobs(choices: Sequence[Choice], bytes_of: BytesOf) -> dict[str, object]:
    """What chat answers have."""
    content = [
        {
            **_entry(choice.token, choice.logprob, bytes_of),
            "top_logprobs": [_entry(token, logprob, bytes_of) for token, logprob in choice.top],
        }
        for choice in choices
    ]
    return {"content": content, "refusal": None}


def text_logprobs(
    choices: Sequence[Choice], bytes_of: BytesOf, written: int, top: int
) -> dict[str, object]:
    """What completions have.

    Args:
        choices: the tokens.
        bytes_of: the bytes of a token.
        written: characters of the answer before these tokens.
        top: how many of the likeliest tokens were asked for; the chosen one comes on top.
    """
    offsets: list[int] = []
    for choice in choices:
        raw = bytes_of(choice.token)
        # A token that begins within a character stands where the character does.
        offsets.append(written - (begun(raw[:1]) == 0 < written))
        written += begun(raw)
    tops = [
        {
            _text(token, bytes_of): _finite(logprob)
            for token, logprob in (*choice.top, (choice.token, choice.logprob))
        }
        for choice in choices
    ]
    return {
        "tokens": [_text(choice.token, bytes_of) for choice in choices],
        "token_logprobs": [_finite(choice.logprob) for choice in choices],
        "top_logprobs": tops if top else None,
        "text_offset": offsets,
    }


def begun(raw: bytes) -> int:
    """How many characters begin in UTF-8 bytes."""
    return sum(byte & 0xC0 != 0x80 for byte in raw)


def _entry(token: int, logprob: float | None, bytes_of: BytesOf) -> dict[str, object]:
    raw = bytes_of(token)
    text = raw.decode("utf-8", errors="replace")
    return {"token": text, "logprob": _finite(logprob), "bytes": list(raw)}


def _text(token: int, bytes_of: BytesOf) -> str:
    raw = bytes_of(token)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def _finite(logprob: float | None) -> float:
    return LEAST_LOGPROB if logprob is None else max(LEAST_LOGPROB, logprob)

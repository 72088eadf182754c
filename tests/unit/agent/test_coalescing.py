import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import UnavailableError
from adaptery_network.agent.coalescing import coalesce, join


def token(text, index=0, **choice):
    delta = {"content": text}
    return {"id": "c", "choices": [{"index": index, "delta": delta, **choice}]}


def content(chunks):
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


async def stream(chunks, error=None):
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


async def gather(chunks, window_seconds=10.0, error=None):
    return [chunk async for chunk in coalesce(stream(chunks, error), window_seconds)]


async def test_the_first_token_goes_out_at_once_and_a_burst_together():
    sent = await gather([token(str(n)) for n in range(9)])
    assert content(sent[:1]) == "0"
    assert content(sent) == "012345678"
    assert len(sent) == 2


async def test_a_token_after_a_pause_waits_for_nothing():
    gate = asyncio.Event()

    async def slow():
        yield token("a")
        await gate.wait()
        yield token("b")

    stream = coalesce(slow(), 0.0)
    assert content([await anext(stream)]) == "a"
    gate.set()
    assert content([await anext(stream)]) == "b"
    await stream.aclose()


async def test_what_is_more_than_text_stays_a_chunk_of_its_own():
    end = token("", finish_reason="stop")
    usage = {"id": "c", "choices": [], "usage": {"total_tokens": 3}}
    role = {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    sent = await gather([role, token("a"), token("b"), end, usage])
    assert sent == [role, token("ab"), end, usage]


async def test_an_error_comes_after_all_that_was_said():
    got = []
    with pytest.raises(UnavailableError):
        async for chunk in coalesce(stream([token("a"), token("b")], UnavailableError()), 10):
            got.append(chunk)
    assert content(got) == "ab"


async def test_a_reader_who_leaves_ends_the_source():
    closed = asyncio.Event()

    async def endless():
        try:
            while True:
                yield token("x")
                await asyncio.sleep(0)
        finally:
            closed.set()

    source = endless()
    stream = coalesce(source, 0.0)
    await anext(stream)
    await stream.aclose()
    await source.aclose()
    assert closed.is_set()


def test_completions_are_joined_by_their_text():
    one = {"choices": [{"index": 0, "text": "a", "finish_reason": None}]}
    two = {"choices": [{"index": 0, "text": "b", "finish_reason": None}]}
    assert join(one, two)["choices"][0]["text"] == "ab"
    other = {"choices": [{"index": 1, "text": "b", "finish_reason": None}]}
    assert join(one, other) is None
    assert join(one, token("b")) is None
    assert join(one, {"choices": [{"index": 0, "text": "b", "logprobs": {"x": 1}}]}) is None


@given(st.lists(st.text(max_size=5), max_size=30), st.sampled_from([0.0, 0.001, 10.0]))
def test_text_is_never_lost_or_turned(texts, window_seconds):
    sent = asyncio.run(gather([token(text) for text in texts], window_seconds))
    assert content(sent) == "".join(texts)

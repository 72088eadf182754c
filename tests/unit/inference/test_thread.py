"""The thread that owns the engine, with real threads and no model."""

import queue
from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from adaptery.errors import InvalidInputError, UnavailableError
from adaptery_inference.engine import Adapter, Output, Prompt, SamplingParams
from adaptery_inference.engine.thread import EngineThread
from support.waiting import eventually_sync

READABLE = "sha256:readable"


def read(adapter: Adapter) -> int:
    if adapter.digest != READABLE:
        raise InvalidInputError("The adapter is broken.")
    return 10


@pytest.fixture
def thread(bench) -> Iterator[EngineThread[int]]:
    thread = EngineThread(bench.engine, read)
    thread.start()
    yield thread
    thread.stop()


def collect(outputs: "queue.Queue[Output]") -> list[Output]:
    found = [outputs.get(timeout=10)]
    while not found[-1].is_last:
        found.append(outputs.get(timeout=10))
    return found


def submit(
    thread: EngineThread[int], name: str, adapter: Adapter | None = None, max_tokens: int = 3
) -> "queue.Queue[Output]":
    outputs: queue.Queue[Output] = queue.Queue()
    prompt = Prompt([1], {name: SamplingParams(max_tokens=max_tokens)})
    thread.submit([prompt], adapter, outputs.put).result(timeout=10)
    return outputs


def test_outputs_reach_the_listener_in_order(thread) -> None:
    assert [o.text for o in collect(submit(thread, "a"))] == ["2 ", "3 ", "4 "]


def test_an_evicted_adapter_is_read_on_the_side(thread, adapter) -> None:
    outputs = collect(submit(thread, "a", adapter("readable")))
    assert [o.text for o in outputs] == ["11 ", "21 ", "31 "]


def test_an_adapter_that_cannot_be_read_is_an_error_of_its_rows(thread, adapter) -> None:
    assert str(collect(submit(thread, "a", adapter("broken")))[-1].error) == (
        "The adapter is broken."
    )
    assert collect(submit(thread, "b"))[-1].finish_reason == "length"


def test_a_refused_request_raises_where_it_was_made(thread) -> None:
    with pytest.raises(InvalidInputError):
        submit(thread, "a", max_tokens=1000)


def test_a_cancelled_row_says_no_more(thread, bench) -> None:
    outputs = submit(thread, "a", max_tokens=30)
    outputs.get(timeout=10)
    thread.cancel(["a"])
    assert thread.call(lambda engine: engine.has_work).result(timeout=10) is False


def test_a_broken_step_is_an_error_and_the_thread_lives_on(make_bench, breaking_runner) -> None:
    thread = EngineThread(make_bench(runner=breaking_runner).engine, read)
    thread.start()
    try:
        assert collect(submit(thread, "a"))[-1].error is not None
        breaking_runner.broken = False
        assert collect(submit(thread, "b"))[-1].finish_reason == "length"
    finally:
        thread.stop()


def test_draining_refuses_what_waits_and_finishes_what_runs(make_bench) -> None:
    bench = make_bench(max_rows=1)
    thread = EngineThread(bench.engine, read)
    first, second = queue.Queue(), queue.Queue()
    prompts = [Prompt([1], {name: SamplingParams(max_tokens=30)}) for name in "ab"]
    started = thread.submit(prompts[:1], None, first.put)
    thread.start()
    wait([started], timeout=10)
    thread.submit(prompts[1:], None, second.put)
    thread.drain().result(timeout=10)
    try:
        ends = [collect(first)[-1], collect(second)[-1]]
        # The second may have started before the drain came; then it is finished too.
        assert ends[0].finish_reason == "length"
        assert ends[1].finish_reason == "length" or ends[1].error is not None
    finally:
        thread.stop()


def test_a_stopped_thread_refuses_calls_and_leaves_none_behind(bench) -> None:
    thread = EngineThread(bench.engine, read)
    thread.start()
    thread.stop()
    with pytest.raises(UnavailableError):
        thread.call(lambda engine: engine.load())
    thread.cancel(["a"])
    eventually_sync(lambda: not thread.alive)

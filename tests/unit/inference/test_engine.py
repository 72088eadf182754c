import pytest

from adaptery.errors import InternalError, InvalidInputError, NotFoundError
from adaptery_inference.engine import Prompt, SamplingParams
from adaptery_inference.errors import BadRequestError, ContextTooLongError, EngineQueueFullError


def test_an_answer_ends_at_an_end_token_which_is_counted_but_not_shown(bench) -> None:
    bench.add("a", [-3], max_tokens=10)
    bench.finish()
    assert bench.text("a") == "-2 -1 "
    assert bench.last("a").finish_reason == "stop"
    assert sum(o.tokens for o in bench.outputs) == 3


def test_an_answer_ends_at_a_stop_string_over_two_tokens(bench) -> None:
    bench.add("a", [1], max_tokens=10, stop=("3 4",))
    bench.finish()
    assert bench.text("a") == "2 "
    assert bench.last("a").finish_reason == "stop"


def test_an_answer_without_a_limit_grows_to_the_context(bench) -> None:
    bench.add("a", [1] * 30, max_tokens=None)
    bench.finish()
    assert bench.last("a").finish_reason == "length"
    assert sum(o.tokens for o in bench.outputs) == 10


def test_a_prompt_beyond_the_context_is_refused_with_numbers(bench) -> None:
    with pytest.raises(ContextTooLongError, match="41 tokens; the context holds 40"):
        bench.add("a", [1] * 41, max_tokens=None)
    with pytest.raises(ContextTooLongError, match=r"30 tokens and max_tokens is 11.* at most 10"):
        bench.add("a", [1] * 30, max_tokens=11)
    assert ContextTooLongError.status == 400
    assert not bench.engine.has_work


def test_what_can_never_fit_the_memory_is_refused(make_bench, adapter) -> None:
    bench = make_bench(blocks=6)
    with pytest.raises(BadRequestError, match="do not fit the memory"):
        bench.add("a", [1] * 20, max_tokens=5)
    with pytest.raises(BadRequestError, match="do not fit the memory"):
        bench.add("a", [1] * 10, max_tokens=10, adapter=adapter("a", 100))
    with pytest.raises(BadRequestError, match="needs 620 bytes while in use; the engine has 600"):
        bench.engine.register("large", adapter("large", 310), 1)


def test_an_empty_prompt_is_refused(bench) -> None:
    with pytest.raises(BadRequestError, match="empty"):
        bench.add("a", [])


def test_a_full_queue_refuses_all_rows_of_a_request(make_bench) -> None:
    bench = make_bench(max_waiting=2)
    bench.add("a")
    params = SamplingParams(max_tokens=1)
    with pytest.raises(EngineQueueFullError, match="1 of at most 2") as caught:
        bench.engine.add([Prompt([1], {"b": params, "c": params})])
    assert caught.value.status == 429
    assert caught.value.retry_after_seconds
    assert len(bench.scheduler.waiting) == 1


def test_a_cancelled_row_frees_all_it_held(bench, adapter) -> None:
    bench.engine.register("a", adapter("a"), 2)
    before = bench.scheduler.budget.free_bytes
    bench.add("row", [1] * 10, max_tokens=20, adapter=adapter("a"))
    bench.add("waits")
    bench.step()
    bench.engine.cancel(["row", "waits", "never heard of"])
    assert bench.scheduler.budget.free_bytes == before
    assert not bench.engine.has_work
    assert bench.step() == []


def test_an_adapter_that_cannot_be_read_ends_only_its_own_rows(bench, adapter) -> None:
    bench.add("broken", adapter=adapter("a"))
    bench.add("fine")
    bench.step()
    outputs = bench.engine.fail_load(bench.wanted.pop(), InvalidInputError("The file is gone."))
    assert [(o.sequence_id, str(o.error)) for o in outputs] == [("broken", "The file is gone.")]
    bench.finish()
    assert bench.last("fine").finish_reason == "length"


def test_a_step_that_breaks_ends_its_rows_and_later_ones_work(make_bench, breaking_runner) -> None:
    bench = make_bench(runner=breaking_runner, max_rows=1)
    bench.add("a")
    bench.add("b")
    with pytest.raises(RuntimeError):
        bench.step()
    failed = bench.engine.fail_running()
    assert [(o.sequence_id, type(o.error)) for o in failed] == [("a", InternalError)]
    breaking_runner.broken = False
    bench.finish()
    assert bench.last("b").finish_reason == "length"


def test_unloading_an_unknown_name_is_not_found(bench) -> None:
    with pytest.raises(NotFoundError):
        bench.engine.unregister("nobody")


def test_load_counts_rows_blocks_and_tokens(make_bench) -> None:
    bench = make_bench(max_rows=1)
    bench.add("a", [1] * 6)
    bench.add("b")
    bench.step()
    load = bench.engine.load()
    assert (load.running, load.waiting) == (1, 1)
    assert (load.kv_blocks_free, load.kv_blocks_total) == (18, 20)
    assert load.tokens_per_second == 0.1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("top_p", 0.0),
        ("top_k", 0),
        ("min_p", 1.1),
        ("frequency_penalty", 2.1),
        ("presence_penalty", -2.1),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", 11.0),
        ("logit_bias", {1: 101.0}),
        ("logit_bias", dict.fromkeys(range(301), 1.0)),
        ("logprobs", 21),
        ("stop", ("",)),
        ("stop", ("x",) * 17),
        ("stop", ("x" * 257,)),
    ],
)
def test_sampling_out_of_range_names_the_field(field: str, value: object) -> None:
    with pytest.raises(BadRequestError) as caught:
        SamplingParams(**{field: value})
    assert [problem.where for problem in caught.value.errors] == [field]

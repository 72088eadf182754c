"""What takes part in a step, in which order, and who gives way when memory is short."""

from hypothesis import given, settings
from hypothesis import strategies as st

from adaptery_inference.engine import Prompt, SamplingParams
from support.examples import examples


def lengths(step) -> dict[str, int]:
    return {chunk.sequence.id: chunk.length for chunk in step}


def test_prompts_are_cut_into_chunks_that_join_the_decoding_rows(make_bench) -> None:
    bench = make_bench(max_batch_tokens=8)
    bench.add("first", [1, 2], max_tokens=10)
    bench.step()
    bench.add("long", list(range(1, 21)), max_tokens=2)
    for _ in range(4):
        bench.step()
    assert [lengths(step) for step in bench.runner.steps] == [
        {"first": 2},
        {"first": 1, "long": 8},
        {"first": 1, "long": 8},
        {"first": 1, "long": 4},
        {"first": 1, "long": 1},
    ]


def test_several_prompts_share_the_tokens_of_one_step(make_bench) -> None:
    bench = make_bench(max_batch_tokens=8)
    bench.add("a", [1] * 5)
    bench.add("b", [1] * 5)
    bench.step()
    assert lengths(bench.runner.steps[0]) == {"a": 5, "b": 3}


def test_no_more_rows_run_than_the_limit(make_bench) -> None:
    bench = make_bench(max_rows=2)
    for name in "abc":
        bench.add(name)
    bench.step()
    assert [s.id for s in bench.scheduler.running] == ["a", "b"]
    bench.finish()
    assert bench.last("c").finish_reason == "length"


def test_the_youngest_row_gives_way_and_its_answer_is_the_same(make_bench) -> None:
    bench = make_bench(blocks=6)
    bench.add("old", [1] * 8, max_tokens=14)
    bench.add("young", [1] * 8, max_tokens=14)
    bench.finish()
    alone = make_bench()
    alone.add("young", [1] * 8, max_tokens=14)
    alone.finish()
    computed = sum(c.length for step in bench.runner.steps for c in step)
    assert computed > 2 * sum(c.length for step in alone.runner.steps for c in step)  # recomputed
    assert bench.text("old") == bench.text("young") == alone.text("young")


def test_a_row_that_lacks_memory_holds_back_later_ones(make_bench) -> None:
    bench = make_bench(blocks=10)
    bench.add("runs", [1] * 20, max_tokens=12)  # 8 blocks in the end
    bench.step()
    bench.step()
    bench.add("large", [1] * 30, max_tokens=2)
    bench.add("small", [1], max_tokens=2)
    bench.step()
    assert [s.id for s in bench.scheduler.waiting] == ["large", "small"]
    bench.finish()
    assert bench.last("large").finish_reason == bench.last("small").finish_reason == "length"


def test_a_row_whose_adapter_is_read_is_passed_by_others(bench, adapter) -> None:
    mine = adapter("mine")
    bench.add("adapted", adapter=mine)
    bench.add("base")
    bench.step()
    assert bench.wanted == [mine]
    assert [s.id for s in bench.scheduler.running] == ["base"]
    bench.engine.finish_load(mine, 10)
    bench.wanted.clear()
    bench.step()
    assert [s.id for s in bench.scheduler.running] == ["base", "adapted"]
    bench.finish()
    assert bench.text("adapted") == "11 21 31 "


def test_an_adapter_is_wanted_once_for_all_its_rows(bench, adapter) -> None:
    mine = adapter("mine")
    bench.add("one", adapter=mine)
    bench.add("two", adapter=mine)
    bench.step()
    bench.step()
    assert bench.wanted == [mine]


def test_idle_adapters_leave_before_a_row_gives_way(make_bench, adapter) -> None:
    bench = make_bench(blocks=8)
    idle = adapter("idle", 300)
    bench.engine.register("idle", idle, 5)
    bench.add("row", [1] * 20, max_tokens=8)
    bench.finish()
    assert not bench.engine.adapters.is_resident(idle)
    assert len(bench.runner.steps) == 2 + 7  # never preempted


def test_three_adapters_and_the_base_share_one_step(bench, adapter) -> None:
    for number, name in enumerate("abc", start=2):
        bench.engine.register(name, adapter(name), number)
        bench.add(name, adapter=adapter(name))
    bench.add("base")
    bench.step()
    assert len(bench.runner.steps) == 1
    assert bench.runner.adapters_seen == [{"sha256:a", "sha256:b", "sha256:c"}]
    bench.finish()
    assert [bench.text(name) for name in ("a", "b", "c", "base")] == [
        "3 5 7 ",
        "4 7 10 ",
        "5 9 13 ",
        "2 3 4 ",
    ]


REQUESTS = st.lists(
    st.tuples(
        st.integers(1, 20),  # prompt
        st.integers(1, 12),  # answer
        st.sampled_from([None, "a", "b", "c"]),
        st.integers(0, 3),  # steps before the next arrives
        st.booleans(),  # cancelled after these steps
    ),
    max_size=12,
)


@settings(max_examples=examples(60), deadline=None)
@given(requests=REQUESTS, blocks=st.integers(14, 30), rows=st.integers(1, 5))
def test_whatever_comes_every_answer_is_right_and_nothing_leaks(
    make_bench, adapter, requests, blocks, rows
) -> None:
    bench = make_bench(blocks=blocks, max_rows=rows)
    sizes = {"a": 100, "b": 150, "c": 250}
    for number, (prompt, answer, used, steps, cancelled) in enumerate(requests):
        chosen = adapter(used, sizes[used]) if used else None
        bench.add(str(number), [1] * prompt, max_tokens=answer, adapter=chosen)
        for _ in range(steps):
            bench.step()
            for each in bench.wanted:
                bench.engine.finish_load(each, 10)
            bench.wanted.clear()
        if cancelled:
            bench.engine.cancel([str(number)])
    bench.finish()
    for number, (_, answer, used, _, cancelled) in enumerate(requests):
        if not cancelled:
            by = 10 if used else 1
            assert bench.text(str(number)) == "".join(f"{1 + by * (i + 1)} " for i in range(answer))
    assert bench.scheduler.blocks.free_blocks * 100 <= bench.scheduler.budget.free_bytes
    assert not bench.scheduler.running


def add_answers(bench, names: str, tokens: list[int], max_tokens: int = 4) -> None:
    params = SamplingParams(max_tokens=max_tokens, temperature=0)
    bench.engine.add([Prompt(tokens, dict.fromkeys(names, params))])


def test_answers_to_one_prompt_compute_it_once(make_bench) -> None:
    bench = make_bench(max_batch_tokens=6)
    add_answers(bench, "abc", [1] * 10)
    bench.finish()
    assert [lengths(step) for step in bench.runner.steps[:3]] == [
        {"a": 6},
        {"a": 4},
        {"a": 1, "b": 1, "c": 1},
    ]
    first, second = bench.runner.steps[2][1:]
    assert first.start == second.start == 9
    assert len(first.copied_from) == 3
    assert first.copied_from == second.copied_from
    assert bench.text("a") == bench.text("b") == bench.text("c") == "2 3 4 5 "


def test_another_request_passes_answers_that_wait_for_their_prompt(make_bench) -> None:
    bench = make_bench(max_batch_tokens=6)
    add_answers(bench, "ab", [1] * 5)
    bench.add("other", [1])
    bench.step()
    assert lengths(bench.runner.steps[0]) == {"a": 5, "other": 1}


def test_an_answer_whose_leader_has_gone_computes_the_prompt_itself(make_bench) -> None:
    bench = make_bench(max_rows=1)
    add_answers(bench, "ab", [1] * 6)
    bench.finish()
    assert bench.text("a") == bench.text("b")
    assert [step[0].copied_from for step in bench.runner.steps] == [()] * 8
    bench = make_bench(max_batch_tokens=4)
    add_answers(bench, "ab", [1] * 6)
    bench.step()
    bench.engine.cancel("a")
    bench.finish()
    assert bench.text("b") == "2 3 4 5 "


def test_a_prompt_of_one_token_has_nothing_to_copy(bench) -> None:
    add_answers(bench, "ab", [1])
    bench.finish()
    assert not any(chunk.copied_from for step in bench.runner.steps for chunk in step)
    assert bench.text("a") == bench.text("b")


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(st.integers(1, 14), st.integers(1, 5)), min_size=1, max_size=4),
    st.integers(6, 14),
    st.integers(2, 9),
)
def test_answers_are_the_same_however_little_memory_there_is(
    make_bench, prompts: list[tuple[int, int]], blocks: int, max_batch_tokens: int
) -> None:
    bench = make_bench(blocks=blocks, max_batch_tokens=max_batch_tokens, max_waiting=40)
    params = SamplingParams(max_tokens=6, temperature=0)
    for number, (length, answers) in enumerate(prompts):
        rows = {f"{number}-{k}": params for k in range(answers)}
        bench.engine.add([Prompt([number + 1] * length, rows)])
    bench.finish()
    for number, (_, answers) in enumerate(prompts):
        wanted = "".join(f"{number + k} " for k in range(2, 8))
        assert all(bench.text(f"{number}-{k}") == wanted for k in range(answers))
    assert bench.scheduler.budget.free_bytes == bench.scheduler.budget.total_bytes

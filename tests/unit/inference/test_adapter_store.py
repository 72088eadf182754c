from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from adaptery_inference.engine import Adapter, AdapterState, AdapterStore, MemoryBudget

MakeAdapter = Callable[..., Adapter]


def store(total_bytes: int = 1000) -> AdapterStore[str]:
    return AdapterStore[str](MemoryBudget(total_bytes))


def place(adapters: AdapterStore[str], adapter: Adapter) -> None:
    adapters.register(adapter.digest, adapter)
    assert adapters.begin_load(adapter)
    adapters.finish_load(adapter, f"weights of {adapter.digest}")


def test_the_least_recently_used_idle_adapter_leaves_first(adapter: MakeAdapter) -> None:
    adapters = store(400)
    a, b, c = adapter("a", 100), adapter("b", 100), adapter("c", 200)
    place(adapters, a)
    place(adapters, b)
    assert adapters.acquire(a)
    adapters.release(a)  # now b is the least recently used
    assert adapters.begin_load(c)
    adapters.finish_load(c, "c")
    assert adapters.is_resident(a)
    assert adapters.evict_idle(100)
    assert adapters.state(b) is AdapterState.ABSENT
    assert adapters.is_resident(a)
    adapters.check_integrity()


def test_an_adapter_in_use_is_never_evicted(adapter: MakeAdapter) -> None:
    adapters = store(250)
    a, b = adapter("a", 100), adapter("b", 100)
    place(adapters, a)
    assert adapters.acquire(a)  # 100 resident, 100 for the gathered copy
    adapters.register("b", b)
    assert not adapters.begin_load(b)
    assert adapters.is_resident(a)
    adapters.release(a)
    assert adapters.begin_load(b)
    adapters.check_integrity()


def test_room_that_cannot_be_made_evicts_nobody(adapter: MakeAdapter) -> None:
    adapters = store(300)
    a = adapter("a", 100)
    place(adapters, a)
    assert not adapters.evict_idle(301)
    assert adapters.is_resident(a)


def test_a_name_pointed_elsewhere_leaves_running_rows_their_weights(adapter: MakeAdapter) -> None:
    adapters = store()
    old, new = adapter("old"), adapter("new")
    adapters.register("mine", old)
    assert adapters.begin_load(old)
    adapters.finish_load(old, "old weights")
    assert adapters.acquire(old)
    adapters.register("mine", new)
    assert adapters.find("mine") == new
    assert adapters.weights(old) == "old weights"
    adapters.release(old)
    assert adapters.state(old) is AdapterState.ABSENT
    adapters.check_integrity()


def test_two_names_share_one_copy(adapter: MakeAdapter) -> None:
    adapters = store()
    a = adapter("a")
    place(adapters, a)
    adapters.register("alias", a)
    assert adapters.unregister("alias")
    assert adapters.is_resident(a)
    assert adapters.unregister(a.digest)
    assert adapters.state(a) is AdapterState.ABSENT
    assert not adapters.unregister(a.digest)


def test_a_failed_load_gives_its_room_back(adapter: MakeAdapter) -> None:
    adapters = store(100)
    a = adapter("a")
    assert adapters.begin_load(a)
    assert adapters.budget.free_bytes == 0
    adapters.fail_load(a)
    assert adapters.budget.free_bytes == 100


@given(st.lists(st.tuples(st.sampled_from("lurxn"), st.integers(0, 4)), max_size=80))
def test_the_budget_always_matches_what_is_held(moves: list[tuple[str, int]]) -> None:
    adapters = store(450)
    known = [Adapter(f"sha256:{i}", Path("/x"), 60 + 20 * i, 8) for i in range(5)]
    users = [0] * 5
    for move, i in moves:
        a = known[i]
        state = adapters.state(a)
        if move == "l" and state is AdapterState.ABSENT and adapters.begin_load(a):
            adapters.finish_load(a, "w")
        elif move == "u" and state is AdapterState.RESIDENT and adapters.acquire(a):
            users[i] += 1
        elif move == "r" and users[i]:
            adapters.release(a)
            users[i] -= 1
        elif move == "n":
            adapters.register(f"name {i}", a)
        elif move == "x":
            adapters.unregister(f"name {i}")
        adapters.check_integrity()
        for other, count in zip(known, users, strict=True):
            assert not count or adapters.is_resident(other)

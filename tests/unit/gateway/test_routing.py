"""Which agent answers."""

from dataclasses import replace

from adaptery_hub.gateway.routing import Need, choose
from support.hub_tables import OTHER_WEIGHTS, WEIGHTS
from support.scripted_fleet import view

NEED = Need(WEIGHTS, OTHER_WEIGHTS)


def chosen(*views: object, tried: tuple[str, ...] = (), need: Need = NEED) -> str | None:
    best = choose(views, need, tried)  # type: ignore[arg-type]
    return best.agent_id if best else None


def test_an_agent_with_other_weights_or_gone_is_never_chosen() -> None:
    gone = replace(view("a"), state="gone")
    assert chosen(gone) is None
    assert chosen(view("a"), need=Need(OTHER_WEIGHTS)) is None


def test_the_one_with_the_adapter_wins_until_its_line_is_long() -> None:
    holder, idle = view("b", adapters=frozenset({OTHER_WEIGHTS})), view("a")
    assert chosen(holder, idle) == "b"
    busy = view("b", adapters=frozenset({OTHER_WEIGHTS}), running=3, waiting=4)
    assert chosen(busy, idle) == "a"


def test_without_an_adapter_only_the_line_counts() -> None:
    assert chosen(view("a", running=1), view("b"), need=Need(WEIGHTS)) == "b"


def test_a_ready_engine_comes_before_a_starting_one() -> None:
    starting = view("a")
    starting = replace(
        starting,
        beat=replace(starting.beat, engine=replace(starting.beat.engine, state="starting")),
    )
    assert chosen(starting, view("b", running=9)) == "b"
    assert chosen(starting) == "a"


def test_whom_was_tried_is_not_asked_again() -> None:
    assert chosen(view("a"), view("b"), tried=("a",)) == "b"
    assert chosen(view("a"), tried=("a",)) is None

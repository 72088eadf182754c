"""The fair order: every tenant gets its turn, and positions are what the picks will be."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from adaptery_hub.queue.fairness import Limits, Share, Taken, Waiting, fair_order

START = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(
    job: str, tenant: str, minute: int = 0, priority: int = 0, creator: str = "u"
) -> Waiting:
    return Waiting(job, tenant, creator, priority, START + timedelta(minutes=minute))


def names(line: list[Waiting], shares: dict[str, Share] | None = None, limit: int | None = None):
    return [entry.job_id for entry in fair_order(line, Taken(shares or {}), Limits(limit))]


def test_tenants_take_turns_whoever_queued_more() -> None:
    line = [waiting(f"a{n}", "a", n) for n in range(3)] + [waiting("b0", "b", 9)]
    assert names(line) == ["a0", "b0", "a1", "a2"]


def test_the_tenant_with_fewer_running_jobs_goes_first() -> None:
    line = [waiting("a0", "a", 0), waiting("b0", "b", 5)]
    assert names(line, {"a": Share(1, START)}) == ["b0", "a0"]


def test_among_equals_the_one_who_started_longest_ago_goes_first() -> None:
    line = [waiting("a0", "a", 0), waiting("b0", "b", 5)]
    shares = {"a": Share(0, START + timedelta(hours=1)), "b": Share(0, START)}
    assert names(line, shares) == ["b0", "a0"]


def test_priority_counts_within_a_tenant_only() -> None:
    line = [waiting("a0", "a", 0), waiting("a1", "a", 1, priority=9), waiting("b0", "b", 2)]
    assert names(line) == ["a1", "b0", "a0"]


def test_a_tenant_at_its_limit_is_passed_over() -> None:
    line = [waiting("a0", "a", 0), waiting("b0", "b", 5)]
    assert names(line, {"a": Share(2, START)}, limit=2) == ["b0"]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50), st.integers(0, 2)), max_size=30)
)
def test_every_job_comes_once_and_no_tenant_is_more_than_one_turn_ahead(jobs: list) -> None:
    line = [waiting(f"j{n}", tenant, m, p) for n, (tenant, m, p) in enumerate(jobs)]
    order = list(fair_order(line))
    assert sorted(e.job_id for e in order) == sorted(e.job_id for e in line)
    left = {t: sum(e.tenant_id == t for e in line) for t in "abcd"}
    given_to = dict.fromkeys("abcd", 0)
    for entry in order:
        waiting_tenants = [t for t in "abcd" if left[t]]
        assert given_to[entry.tenant_id] == min(given_to[t] for t in waiting_tenants)
        given_to[entry.tenant_id] += 1
        left[entry.tenant_id] -= 1

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


def test_a_user_at_the_limit_is_passed_over_and_the_others_of_the_group_are_not() -> None:
    line = [waiting(f"u{n}", "a", n, creator="u") for n in range(3)]
    line += [waiting("v0", "a", 9, creator="v"), waiting("b0", "b", 9, creator="u")]
    order = fair_order(line, Taken(by_creator={"u": 1}), Limits(of_creator=2))
    assert [entry.job_id for entry in order] == ["u0", "v0"]


JOBS = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.integers(0, 9), st.integers(-1, 1), st.sampled_from("uvw")
    ),
    max_size=30,
)
COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 4))
LIMIT = st.none() | st.integers(1, 4)


@given(JOBS, COUNTS, st.dictionaries(st.sampled_from("uvw"), st.integers(0, 4)), LIMIT, LIMIT)
def test_who_is_first_follows_from_the_firsts_of_each_user_in_each_tenant(
    jobs: list, running: dict, by_creator: dict, of_tenant: int | None, of_creator: int | None
) -> None:
    """What a claim reads is enough to pick as the whole line would."""
    line = [waiting(f"j{n}", t, minute, p, c) for n, (t, minute, p, c) in enumerate(jobs)]
    firsts: dict[tuple[str, str], Waiting] = {}
    for entry in sorted(line, key=lambda w: (-w.priority, w.queued_at, w.job_id)):
        firsts.setdefault((entry.tenant_id, entry.creator_id), entry)
    taken = Taken({tenant: Share(number) for tenant, number in running.items()}, by_creator)
    limits = Limits(of_tenant, of_creator)
    whole = list(fair_order(line, taken, limits))
    assert next(fair_order(firsts.values(), taken, limits), None) == next(iter(whole), None)
    for tenant in "abcd":
        started = running.get(tenant, 0) + sum(entry.tenant_id == tenant for entry in whole)
        assert of_tenant is None or started <= max(of_tenant, running.get(tenant, 0))
    for creator in "uvw":
        started = by_creator.get(creator, 0) + sum(e.creator_id == creator for e in whole)
        assert of_creator is None or started <= max(of_creator, by_creator.get(creator, 0))


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

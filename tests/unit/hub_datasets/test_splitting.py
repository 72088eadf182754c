"""Splits and draws: seeded, in whatever order, grouped, and as large as was asked for."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.schemas.lineage import Split
from adaptery_hub.curation.drawing import draw, rank, shares
from adaptery_hub.curation.splitting import assign, key_of

KEYS = st.lists(st.text("abcdef", max_size=2), min_size=1, max_size=60)
SHARE = st.sampled_from([0.0, 0.1, 0.25, 0.4])


@given(KEYS, SHARE, SHARE, st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_split_depends_on_the_key_alone(
    keys: list[str], validation: float, test: float, seed: int, shuffler: random.Random
) -> None:
    splits, groups = assign(keys, validation, test, seed)
    by_key = dict(zip(keys, splits, strict=True))
    assert [by_key[key] for key in keys] == splits and groups == len(by_key)
    shuffled = list(keys)
    shuffler.shuffle(shuffled)
    assert assign(shuffled, validation, test, seed)[0] == [by_key[key] for key in shuffled]
    counts = Counter(splits)
    assert counts["test"] <= round(len(keys) * test)
    assert counts["validation"] <= round(len(keys) * validation)


def test_small_groups_give_exact_shares_and_seeds_differ() -> None:
    keys = [str(number) for number in range(1000)]
    splits, _ = assign(keys, 0.15, 0.05, seed=1)
    assert Counter(splits) == {"train": 800, "validation": 150, "test": 50}
    assert assign(keys, 0.15, 0.05, seed=2)[0] != splits


def test_what_has_a_split_keeps_it_and_takes_its_group_along() -> None:
    keys = [str(number) for number in range(100)]
    before, _ = assign(keys, 0.1, 0.1, seed=1)
    kept: list[Split | None] = [*before, *[None] * 100]
    splits, _ = assign(keys * 2, 0.1, 0.1, seed=9, kept=kept)
    assert splits == before * 2
    more = [*keys, *(f"new {number}" for number in range(100))]
    splits, _ = assign(more, 0.1, 0.1, seed=9, kept=kept)
    assert splits[:100] == before
    assert Counter(splits) == {"train": 160, "validation": 20, "test": 20}


def test_records_stay_with_what_they_have_in_common() -> None:
    said = [{"role": role, "content": role[0]} for role in ("system", "user", "assistant")]
    text = json.dumps({"kind": "chat", "messages": said})
    assert key_of(None, "x", "f", 3, text) == "id x"
    assert key_of("file", "x", "f", 3, text) == "file f"
    assert key_of("file", "x", None, 3, text) == "id x"
    assert key_of("near_duplicates", "x", "f", 3, text) == "near_duplicates 3"
    assert key_of("user", "x", "f", 3, text) == "user u"
    assert key_of("system", "x", "f", 3, text) == "system s"
    assert key_of("field:assistant", "x", "f", 3, text) == "field:assistant a"
    assert key_of("field:tool", "x", "f", 3, text) == "id x"


@given(st.lists(st.integers(0, 99), max_size=50), st.floats(0.01, 1), st.none() | st.integers(1, 9))
def test_a_draw_takes_the_lowest_ranks(
    numbers: list[int], share: float, sample: int | None
) -> None:
    ranks = np.array([rank(1, str(number)) for number in numbers], np.uint64)
    drawn = draw(ranks, share, sample)
    wanted = min(len(numbers), max(1, round(len(numbers) * share)), sample or 100)
    assert drawn.sum() == wanted
    if 0 < wanted < len(numbers):
        assert ranks[drawn].max() <= ranks[~drawn].min()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([1.0], [1]), ([0.5], [0.5]), ([2.0, 1.0], [1, 0.5]), ([3.0], [1]), ([0.5, 1.0], [0.5, 1])],
)
def test_weights_are_shares_of_the_largest(weights: list[float], expected: list[float]) -> None:
    assert shares(weights) == expected

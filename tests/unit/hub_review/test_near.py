"""Near duplicates: found if they are, and nothing else; in linear time and memory."""

from __future__ import annotations

import time

import numpy as np
import pytest

from adaptery_hub.review import near_groups, near_matches, near_pairs
from adaptery_hub.review.shingles import jaccard as jaccards
from support.planted import Planted, jaccard, plant


@pytest.fixture(scope="module")
def planted() -> Planted:
    return plant(3_000)


def test_planted_pairs_are_found_and_no_others(planted: Planted) -> None:
    true = {pair for pair in planted.pairs if jaccard(*(planted.texts[i] for i in pair)) >= 0.5}
    assert len(true) > 200
    found = set(near_pairs(planted.texts))
    assert len(found & true) / len(true) >= 0.95
    alike = [jaccard(planted.texts[i], planted.texts[j]) >= 0.5 for i, j in found]
    assert sum(alike) / len(alike) >= 0.99


def test_pairs_right_at_the_threshold_are_found() -> None:
    texts = plant(1_000, share=0.9, seed=2)
    just = [pair for pair in texts.pairs if 0.5 <= jaccard(*(texts.texts[i] for i in pair)) < 0.55]
    found = set(near_pairs(texts.texts))
    assert len(just) > 20
    assert sum(pair in found for pair in just) / len(just) >= 0.95


def test_a_jaccard_is_the_defined_one(planted: Planted) -> None:
    pairs = planted.pairs[:50]
    lefts, rights = (np.array(side) for side in zip(*pairs, strict=True))
    expected = [jaccard(planted.texts[i], planted.texts[j]) for i, j in pairs]
    assert jaccards(planted.texts, lefts, rights).tolist() == pytest.approx(expected)


def test_a_higher_threshold_finds_fewer(planted: Planted) -> None:
    assert 0 < len(near_groups(planted.texts, 0.9)) < len(near_groups(planted.texts, 0.5))


def test_equal_texts_are_a_group_and_cost_no_more_than_one() -> None:
    begin = time.perf_counter()
    (group,) = near_groups(["the same words again"] * 200_000)
    assert group.members == tuple(range(200_000))
    assert set(group.similarities) == {1.0}
    assert time.perf_counter() - begin < 10  # all pairs would take hours


def test_many_texts_of_one_template_are_one_group() -> None:
    template = plant(1, share=0).texts[0] + " and so on, as it stands in every one of these, number"
    texts = [f"{template} {number}" for number in range(3_000)]
    (group,) = near_groups(texts)
    assert len(group.members) == 3_000


def test_empty_and_tiny_texts() -> None:
    assert near_groups([]) == []
    assert near_groups(["", ""]) == []
    assert near_groups(["a", "b", "c"]) == []
    assert [group.members for group in near_groups(["ab", "x", "ab"])] == [(0, 2)]


def test_the_first_of_a_group_is_the_earliest() -> None:
    texts = plant(1, share=0).texts
    (group,) = near_groups([texts[0] + " end", "something else entirely", texts[0]])
    assert group.members == (0, 2)
    assert group.similarities[0] == 1.0
    assert 0.5 <= group.similarities[1] < 1.0


def test_texts_that_are_no_unicode_are_compared_all_the_same() -> None:
    assert len(near_groups(["\ud800 a lone surrogate", "\ud800 a lone surrogate"])) == 1


def test_matches_in_another_set(planted: Planted) -> None:
    originals = planted.texts[:3_000]
    copies = planted.texts[3_000:]
    matches = {match.text: match for match in near_matches(copies, originals)}
    true = [
        (copy - 3_000, original)
        for original, copy in planted.pairs
        if jaccard(originals[original], copies[copy - 3_000]) >= 0.5
    ]
    right = [copy in matches and matches[copy].other == original for copy, original in true]
    assert sum(right) / len(true) >= 0.95
    assert all(
        jaccard(copies[m.text], originals[m.other]) == pytest.approx(m.similarity)
        for m in matches.values()
    )


def test_no_match_in_an_empty_set(planted: Planted) -> None:
    assert near_matches(planted.texts[:3], []) == []
    assert near_matches([], planted.texts[:3]) == []

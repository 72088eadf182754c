"""Which texts share a forward pass."""

from hypothesis import given
from hypothesis import strategies as st

from adaptery_inference.embedder.batching import batches


@given(st.lists(st.integers(1, 600), max_size=200), st.integers(1, 2000))
def test_each_text_is_in_one_batch_that_is_not_too_wide(
    lengths: list[int], max_tokens: int
) -> None:
    made = batches(lengths, max_tokens)
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    for batch in made:
        padded = max(lengths[place] for place in batch) * len(batch)
        assert padded <= max_tokens or len(batch) == 1


def test_texts_of_like_length_go_together() -> None:
    assert batches([5, 100, 6, 100, 5], 200) == [[1, 3], [2, 0, 4]]

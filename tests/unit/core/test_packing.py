from hypothesis import given
from hypothesis import strategies as st

from adaptery.examples import epoch_order, pack, row_lengths
from adaptery.schemas.spec import OptimSpec


@given(st.lists(st.integers(1, 100), max_size=200), st.integers(100, 150))
def test_every_example_is_in_one_row_and_hardly_a_row_is_half_empty(lengths, capacity):
    rows = pack(lengths, capacity)
    assert sorted(position for row in rows for position in row) == list(range(len(lengths)))
    filled = [sum(lengths[position] for position in row) for row in rows]
    assert all(0 < tokens <= capacity for tokens in filled)
    assert sum(tokens * 2 <= capacity for tokens in filled) <= 1


def test_little_is_left_free_where_lengths_are_mixed():
    lengths = [16 + (i * i * 37) % 480 for i in range(1_000)]
    assert sum(lengths) / (len(pack(lengths, 512)) * 512) > 0.94


def test_rows_are_examples_unless_they_are_packed():
    lengths = [5, 9, 7, 3]
    assert row_lengths(lengths, OptimSpec(cutoff_len=16)) == lengths
    packed = row_lengths(lengths, OptimSpec(cutoff_len=16, batching="packed"))
    assert sorted(packed) == [8, 16]


def test_the_order_of_an_epoch_follows_the_wish():
    lengths = [1, 100] * 50
    grouped = epoch_order(lengths, OptimSpec(batch_size=2), 0)
    shuffled = epoch_order(lengths, OptimSpec(batch_size=2, batching="shuffled"), 0)

    def mixed(order):
        return sum(lengths[a] != lengths[b] for a, b in zip(order[::2], order[1::2], strict=True))

    assert sorted(shuffled) == sorted(grouped) == list(range(100))
    assert mixed(grouped) <= 4 < 15 < mixed(shuffled)

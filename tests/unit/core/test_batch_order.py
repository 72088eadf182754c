from hypothesis import given
from hypothesis import strategies as st

from adaptery.examples import order_by_length, padding_share

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=300)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_every_example_comes_once_and_the_order_is_repeatable(lengths, batch_size, seed, epoch):
    order = order_by_length(lengths, batch_size=batch_size, seed=seed, epoch=epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert order == order_by_length(lengths, batch_size=batch_size, seed=seed, epoch=epoch)


def test_epochs_and_seeds_differ():
    lengths = list(range(1, 101))
    orders = {
        tuple(order_by_length(lengths, batch_size=4, seed=seed, epoch=epoch))
        for seed in (1, 2)
        for epoch in (0, 1, 2)
    }
    assert len(orders) == 6


def test_little_is_padding_where_random_order_wastes_half():
    lengths = [16 + (i * i * 37) % 480 for i in range(1_000)]
    grouped = order_by_length(lengths, batch_size=4, seed=0, epoch=0)
    assert padding_share(lengths, grouped, 4) < 0.05
    assert padding_share(lengths, range(1_000), 4) > 0.3


def test_an_epoch_does_not_begin_with_its_longest_batches():
    lengths = list(range(1, 401))
    order = order_by_length(lengths, batch_size=4, seed=3, epoch=0)
    means = [sum(lengths[p] for p in order[i : i + 4]) / 4 for i in range(0, 400, 4)]
    assert means != sorted(means) and means != sorted(means, reverse=True)
    assert 100 < sum(means[:20]) / 20 < 300


def test_members_of_a_batch_change_from_epoch_to_epoch_in_a_small_dataset():
    lengths = [100 + i % 60 for i in range(160)]
    batches = [
        {frozenset(order[i : i + 4]) for i in range(0, 160, 4)}
        for order in (
            order_by_length(lengths, batch_size=4, seed=0, epoch=epoch) for epoch in (0, 1)
        )
    ]
    assert len(batches[0] & batches[1]) < 5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError
from adaptery_inference.engine import BlockManager, MemoryBudget


def manager(blocks: int = 10) -> BlockManager:
    return BlockManager(MemoryBudget(blocks * 8), block_tokens=16, block_bytes=8)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60))
def test_blocks_are_never_lost_nor_handed_out_twice(moves: list[tuple[bool, int]]) -> None:
    blocks = manager()
    held: list[list[int]] = []
    for take, size in moves:
        if take:
            taken = blocks.allocate(size)
            assert (taken is None) == (size > blocks.total_blocks - sum(map(len, held)))
            if taken is not None:
                held.append(taken)
        elif held:
            blocks.release(held.pop(size % len(held)))
        flat = [block for each in held for block in each]
        assert len(flat) == len(set(flat))
        blocks.check_integrity()


def test_the_lowest_free_block_is_taken_first() -> None:
    blocks = manager()
    first = blocks.allocate(3)
    assert first == [0, 1, 2]
    blocks.allocate(2)
    blocks.release(first)
    assert blocks.allocate(2) == [0, 1]


def test_tokens_round_up_to_blocks() -> None:
    blocks = manager()
    assert [blocks.blocks_for(n) for n in (0, 1, 16, 17)] == [0, 1, 1, 2]


def test_released_blocks_are_told() -> None:
    told: list[int] = []
    budget = MemoryBudget(80)
    blocks = BlockManager(budget, block_tokens=16, block_bytes=8, on_release=told.extend)
    taken = blocks.allocate(2)
    assert taken is not None
    blocks.release(taken)
    assert told == [0, 1]
    assert taken == []


def test_a_budget_without_room_for_a_block_is_refused_with_numbers() -> None:
    with pytest.raises(InvalidInputError, match=r"7 bytes .* 8 bytes"):
        BlockManager(MemoryBudget(7), block_tokens=16, block_bytes=8)

"""How long ClearML is left alone after it did not answer."""

import random

from adaptery_hub.clearml.links import Waits


def test_waits_double_up_to_an_hour_and_no_two_are_alike() -> None:
    waits, rng = Waits(), random.Random(1)
    for failures in range(1, 200):
        longest = min(3600.0, 10.0 * 2.0 ** min(failures - 1, 20))
        assert longest / 2 <= waits.after(failures, rng) <= longest
    assert len({waits.after(30, rng) for _ in range(20)}) == 20

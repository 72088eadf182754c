"""Who misspells a word is told what was probably meant."""

import pytest

from adaptery.near_misses import meant

KNOWN = ("epochs", "per_device_train_batch_size", "rank")


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("epoch", "did you mean epochs?"),
        ("batch_size", "did you mean per_device_train_batch_size?"),
        ("zzz", "use one of: epochs, per_device_train_batch_size, rank"),
        ("", "use one of: epochs, per_device_train_batch_size, rank"),
    ],
)
def test_what_was_probably_meant(word: str, remedy: str) -> None:
    assert meant(word, KNOWN) == remedy

"""How many examples a property is tried with, where that is not the profile's own number."""

from hypothesis import settings

_FULL = 100  # of the profile `full`, in `tests/conftest.py`


def examples(full: int) -> int:
    """Return the share of a full number of examples that this tier tries."""
    return max(1, full * settings().max_examples // _FULL)

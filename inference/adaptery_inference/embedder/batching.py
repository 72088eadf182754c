"""Which texts share a forward pass.

Texts of like length go together, for each is padded to the longest of its batch. Pure: lengths in,
places out.
"""

from collections.abc import Sequence


def batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """The places of all texts, in batches of at most ``max_tokens`` with padding, longest first.

    A text that is longer than that alone has a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    made: list[list[int]] = []
    for place in order:
        # The first of a batch is its longest, so it says how wide the batch is.
        if made and lengths[made[-1][0]] * (len(made[-1]) + 1) <= max_tokens:
            made[-1].append(place)
        else:
            made.append([place])
    return made

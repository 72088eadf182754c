"""Sets up the libraries of an attempt: silent, seeded, and never on the network."""

from __future__ import annotations

import logging
import warnings


def silence_libraries() -> None:
    """Keep what libraries say out of the worker's log: they like to quote their input."""
    import transformers

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def seed_everything(seed: int) -> None:
    """Fix the random generators of Python, NumPy and torch."""
    from transformers import set_seed

    set_seed(seed)

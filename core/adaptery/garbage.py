"""The garbage collector of a process that serves others for long.

A full collection looks at everything that lives, modules and schemas above all: a tenth of a second
in which nobody is served, and which a burst of requests is what sets off.
"""

from __future__ import annotations

import gc

__all__ = ["settle"]

#: Objects that are made before the youngest are looked through; 700 is Python's own.
YOUNG_OBJECTS = 10_000


def settle() -> None:
    """Take what is there now as there to stay: the collector looks at what is made from here on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])

"""A process that serves others for long: what of Python would let them wait.

- A full garbage collection looks at everything that lives, modules and schemas above all: a tenth
  of a second in which nobody is served, and which a burst of requests is what sets off.
- A thread that computes keeps the interpreter for 5 ms from those that wait for it, and a request
  changes between the event loop and threads several times.
"""

from __future__ import annotations

import gc
import sys

__all__ = ["settle"]

#: Objects that are made before the youngest are looked through; 700 is Python's own.
YOUNG_OBJECTS = 10_000
#: How long a thread keeps the interpreter from one that waits for it.
SWITCH_SECONDS = 0.001


def settle() -> None:
    """Take what is there now as there to stay, and let threads take turns more often.

    The collector looks at what is made from here on.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    sys.setswitchinterval(SWITCH_SECONDS)

"""A request to stop: SIGTERM becomes a flag that the training loop looks at after each step.

It does not stop anything itself; a step is never cut in two. A second SIGTERM changes nothing: who
cannot wait uses SIGKILL, and loses the steps since the last checkpoint.
"""

import signal
import threading
from types import FrameType


class StopRequest:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        self._requested = False

    @property
    def requested(self) -> bool:
        """True from the first SIGTERM on."""
        return self._requested

    def request(self) -> None:
        """Ask for a stop, as SIGTERM does."""
        self._requested = True

    def listen(self) -> None:
        """Take SIGTERM from now on. Does nothing outside the main thread, where it cannot."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.request()

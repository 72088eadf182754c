"""Steps for the tests of `adaptery_hub.processes`: a child process imports them by name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from adaptery.errors import FieldProblem, RecordError

Report = Callable[[int, int], None]


def add(report: Report, one: int, other: int) -> int:
    """Report once and add."""
    report(1, 2)
    return one + other


def refuse(report: Report) -> None:
    """Refuse a record."""
    raise RecordError(errors=[FieldProblem("record 3, output", "is missing.", "Write it.")])


def fail(report: Report) -> None:
    """Raise what quotes content."""
    raise ValueError("the patient's name")


def die(report: Report) -> None:
    """End without a word, as the kernel ends who takes too much."""
    os._exit(9)


def swallow(report: Report, size: int) -> int:
    """Take memory."""
    return len(bytearray(size))


def sleep_for_ever(report: Report, pid_file: Path) -> None:
    """Say who it is, and never end."""
    pid_file.write_text(str(os.getpid()))
    report(0, 1)
    while True:
        time.sleep(60)

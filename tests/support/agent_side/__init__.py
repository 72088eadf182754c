"""The other sides of an agent: small real programs and a scripted service."""

import sys
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"


def program(name: str) -> tuple[str, ...]:
    """Return the command that runs one of the small programs."""
    return (sys.executable, "-P", str(PROGRAMS / f"{name}.py"))

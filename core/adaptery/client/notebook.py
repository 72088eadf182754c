"""The notebook that this may run in: found through the running IPython, which is never imported.

What always holds: without IPython nothing here fails; there is just nobody to show things to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Protocol, cast
from uuid import uuid4

__all__ = ["Display", "Shell", "kernel_shell"]


class Publisher(Protocol):
    """Puts outputs below a cell."""

    def publish(
        self,
        data: Mapping[str, str],
        *,
        transient: Mapping[str, str] | None = None,
        update: bool = False,
    ) -> None:
        """Show `data`, by media type, or update what has the same display id."""
        ...


class Shell(Protocol):
    """The part of IPython's shell that we use."""

    display_pub: Publisher
    user_ns: dict[str, object]


def kernel_shell() -> Shell | None:
    """Return the shell of the kernel that runs this; None if this is no notebook's kernel."""
    ipython = sys.modules.get("IPython")
    get = cast("Callable[[], Shell | None] | None", getattr(ipython, "get_ipython", None))
    shell = get() if get is not None else None
    return shell if shell is not None and hasattr(shell, "kernel") else None


class Display:
    """One output below the cell that runs, which can change."""

    def __init__(self, shell: Shell) -> None:
        self._publisher = shell.display_pub
        self._id = uuid4().hex
        self._shown = False

    def show(self, data: Mapping[str, str]) -> None:
        """Show this, by media type, in the place of what was shown before."""
        self._publisher.publish(data, transient={"display_id": self._id}, update=self._shown)
        self._shown = True

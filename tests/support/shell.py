"""The command line, as a user runs it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adaptery.commands import main


class Shell:
    """Runs commands of one group, such as `data`, and keeps what they wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], group: str) -> None:
        self._capsys = capsys
        self._group = group
        self.out = self.err = ""

    async def run(self, *words: str | Path, status: int = 0) -> str:
        """Run a command that must end so; return what it wrote."""
        self._capsys.readouterr()
        ended = await asyncio.to_thread(main, [self._group, *map(str, words)])
        self.out, self.err = self._capsys.readouterr()
        assert ended == status, (ended, self.out, self.err)
        assert "\x1b" not in self.out + self.err
        return self.out

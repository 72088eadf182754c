"""Reads a growing ``events.jsonl`` from where it last stopped.

Not here: sending events on. Invariants:
- only whole lines are read; a half-written one is read when it is whole;
- a line that is not an event is counted and skipped, and nobody is told what it said;
- what is no plain file of the worker's holds no events (`work_files`);
- sequence numbers only grow, so reading from the start again repeats nothing.
"""

from __future__ import annotations

from pathlib import Path

from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.schemas.events import LINE_LIMIT_BYTES, WorkerEvent, parse_event
from adaptery_network.agent.work_files import OpenFolder

#: Bytes read in one step, so that a worker gone wild can neither fill the agent's memory nor hold
#: it up: what is in them is parsed in some twentieth of a second.
READ_LIMIT_BYTES = 256 * 1024


class EventTail:
    """The reading end of one event file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._skipping = False
        #: Lines that were no events.
        self.rejected = 0
        #: The highest sequence number read.
        self.last_seq = 0
        #: Whether there may be more than was read last.
        self.behind = False

    def read(self) -> list[WorkerEvent]:
        """Return the next events written since the last call, in order."""
        chunk = self._read_chunk()
        self.behind = len(chunk) == READ_LIMIT_BYTES
        lines, whole_bytes = self._split(chunk)
        self._offset += whole_bytes
        return [event for line in lines if (event := self._parse(line)) is not None]

    def _read_chunk(self) -> bytes:
        try:
            with OpenFolder(self._path.parent) as work, work.open(self._path.name) as stream:
                stream.seek(self._offset)
                return stream.read(READ_LIMIT_BYTES)
        except (FileNotFoundError, IntegrityError):
            return b""

    def _split(self, chunk: bytes) -> tuple[list[bytes], int]:
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            if len(chunk) < LINE_LIMIT_BYTES:
                return [], 0
            self._skip_line()  # too long to be an event: dropped up to its end
            return [], len(chunk)
        lines = chunk[:end].split(b"\n")[:-1]
        if self._skipping:
            self._skipping = False
            lines = lines[1:]
        return lines, end

    def _skip_line(self) -> None:
        self.rejected += not self._skipping
        self._skipping = True

    def _parse(self, line: bytes) -> WorkerEvent | None:
        if not line.strip():
            return None
        try:
            event = parse_event(line)
        except InvalidInputError:
            self.rejected += 1
            return None
        if event.seq <= self.last_seq:
            return None
        self.last_seq = event.seq
        return event

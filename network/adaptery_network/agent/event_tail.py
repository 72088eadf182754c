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

#: Bytes read in one step, so that a worker gone wild cannot fill the agent's memory.
READ_LIMIT_BYTES = 1024 * 1024


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

    def read(self) -> list[WorkerEvent]:
        """Return the events written since the last call, in order; an empty list if none."""
        events: list[WorkerEvent] = []
        while chunk := self._read_chunk():
            lines, whole_bytes = self._split(chunk)
            if not whole_bytes:
                break
            self._offset += whole_bytes
            events.extend(event for line in lines if (event := self._parse(line)) is not None)
        return events

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

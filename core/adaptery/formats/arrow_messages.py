"""How much the buffers of an Arrow message unpack to, told from its metadata.

Arrow gives out as much memory as a packed buffer says it needs, so a small file could ask for all
there is. The lengths stand in the first bytes of each buffer; this reads them and nothing else.

Source: Apache Arrow, format/Message.fbs (RecordBatch, DictionaryBatch, BodyCompression) and
"Serialization and Interprocess Communication"; FlatBuffers, "Internals" (tables and vtables).
"""

from __future__ import annotations

import struct
from typing import Protocol

from adaptery.errors import TooLargeError
from adaptery.formats.limits import ARROW_BUFFERS_LIMIT_BYTES

__all__ = ["check_unpacked_size"]

_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_NOT_PACKED = -1


class Message(Protocol):
    """What of a `pyarrow.ipc.Message` is used here."""

    @property
    def metadata(self) -> bytes | memoryview: ...
    @property
    def body(self) -> bytes | memoryview | None: ...


class _Table:
    """A FlatBuffers table at a place in a buffer."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self._at = at
        self._vtable = at - _number("<i", data, at)

    def field(self, number: int) -> int | None:
        """Return where the value of a field stands; None if it is left out."""
        entry = 4 + 2 * number
        if entry >= _number("<H", self.data, self._vtable):
            return None
        offset = _number("<H", self.data, self._vtable + entry)
        return self._at + offset if offset else None

    def table(self, number: int) -> _Table | None:
        """Return the table that a field points to."""
        at = self.field(number)
        return None if at is None else _Table(self.data, at + _number("<I", self.data, at))


def _number(form: str, data: bytes, at: int) -> int:
    if at < 0:
        raise ValueError("points before its buffer")
    return int(struct.unpack_from(form, data, at)[0])


def check_unpacked_size(message: Message) -> None:
    """Refuse a message whose buffers would take more memory than a batch may.

    Raises:
        TooLargeError: with the limit.
        ValueError: if the metadata is no Arrow message (`struct.error` is one too).
    """
    metadata = bytes(message.metadata)
    try:
        sizes = _packed_sizes(metadata, message.body)
    except struct.error:
        raise ValueError("no Arrow message") from None
    if sum(sizes) > ARROW_BUFFERS_LIMIT_BYTES:
        raise TooLargeError(
            "A batch of the Arrow file would unpack to more than"
            f" {ARROW_BUFFERS_LIMIT_BYTES // 1024**2} MiB.",
            hint="write it in smaller batches",
        )


def _packed_sizes(metadata: bytes, body: bytes | memoryview | None) -> list[int]:
    root = _Table(metadata, _number("<I", metadata, 0))
    kind, batch = root.field(1), root.table(2)
    header = 0 if kind is None else metadata[kind]
    if header == _DICTIONARY_BATCH and batch is not None:
        batch = batch.table(1)
    elif header != _RECORD_BATCH:
        return []
    if batch is None or body is None or batch.field(3) is None:  # not packed: as large as the file
        return []
    buffers = batch.field(2)
    if buffers is None:
        return []
    start = buffers + _number("<I", metadata, buffers)
    view = memoryview(body)
    sizes: list[int] = []
    for i in range(_number("<I", metadata, start)):
        offset, length = struct.unpack_from("<qq", metadata, start + 4 + 16 * i)
        if length > 0:
            size = int(struct.unpack_from("<q", view, offset)[0])
            sizes.append(0 if size == _NOT_PACKED else abs(size))
    return sizes

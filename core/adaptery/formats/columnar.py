"""Parquet and Arrow: typed columns, read a few rows at a time.

pyarrow is not a dependency of core: it is imported here, when a file asks for it.

What always holds:
- Only the columns that a mapping names are read; a row group or batch that would unpack to more
  than its limit is refused before it is.
- What the file says about itself is checked before a value is made of it: offsets that point
  elsewhere would end the process.
"""

# pyarrow has no type stubs, so what comes from it is Any.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnusedImport=false

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from adaptery.errors import InvalidInputError, MissingExtraError, TooLargeError
from adaptery.formats.arrow_messages import check_unpacked_size
from adaptery.formats.limits import COLUMNS_LIMIT, RECORD_LIMIT_BYTES, ROW_GROUP_LIMIT_BYTES
from adaptery.formats.rows import Row

__all__ = ["arrow_rows", "import_pyarrow", "parquet_rows"]

#: Rows that are made into Python values at once, at first and at most, and the bytes aimed at.
_FIRST_ROWS, _MOST_ROWS = 100, 1_000
_BATCH_BYTES = 8 * 1024 * 1024
_BUFFER_BYTES = 256 * 1024
_FILE_MAGIC = b"ARROW1\x00\x00"


def import_pyarrow() -> Any:
    """Return pyarrow with those parts of it that are used here.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError.for_extra("notebook", "Reading or writing Parquet") from None
    return cast("Any", pyarrow)


@contextmanager
def _told_apart(what: str) -> Generator[Any]:
    """Turn what pyarrow says about a broken file into an error that quotes nothing of it."""
    pyarrow = import_pyarrow()
    try:
        yield pyarrow
    except MemoryError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, EOFError):
        raise InvalidInputError(
            f"The file is no {what} file that can be read, or it is cut off.",
            hint="write it again, or upload the whole file",
        ) from None


def parquet_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a Parquet file.

    Args:
        path: where it lies.
        columns: those that are read; all if None.

    Raises:
        InvalidInputError: if it is no Parquet file.
        TooLargeError: if a row group, or the number of columns, is over its limit.
        MissingExtraError: if pyarrow is not installed.
    """
    with (
        _told_apart("Parquet") as pyarrow,
        # With a buffer, column chunks are read page by page and never whole.
        pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file,
    ):
        names = list(file.schema_arrow.names)
        _check_columns(names)
        wanted = names if columns is None else [name for name in names if name in columns]
        size = _FIRST_ROWS
        for group in range(file.num_row_groups):
            _check_group(file.metadata.row_group(group))
            batches = file.iter_batches(
                batch_size=size, row_groups=[group], columns=wanted, use_threads=False
            )
            for batch in batches:
                yield from _rows_of(batch)
                size = _next_size(batch)


def arrow_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield the rows of an Arrow file or stream.

    Args:
        path: where it lies.
        columns: those that are read; all if None.

    Raises:
        InvalidInputError: if it is no Arrow file.
        TooLargeError: if a batch, or the number of columns, is over its limit.
        MissingExtraError: if pyarrow is not installed.
    """
    with _told_apart("Arrow") as pyarrow, pyarrow.memory_map(str(path)) as source:
        start = len(_FILE_MAGIC) if source.read(len(_FILE_MAGIC)) == _FILE_MAGIC else 0
        _check_messages(pyarrow, source, start)
        source.seek(start)  # a file holds a stream between its magic and its footer
        reader = pyarrow.ipc.open_stream(source)
        names = list(reader.schema.names)
        _check_columns(names)
        wanted = names if columns is None else [name for name in names if name in columns]
        for batch in reader:
            batch.validate(full=True)
            chosen, at, size = batch.select(wanted), 0, _FIRST_ROWS
            while at < chosen.num_rows:
                part = chosen.slice(at, size)
                yield from _rows_of(part)
                at, size = at + size, _next_size(part)


def _check_messages(pyarrow: Any, source: Any, start: int) -> None:
    source.seek(start)
    for message in pyarrow.ipc.MessageReader.open_stream(source):
        check_unpacked_size(message)


def _check_columns(names: Sequence[str]) -> None:
    if len(names) > COLUMNS_LIMIT:
        raise TooLargeError(
            f"The table has more than {COLUMNS_LIMIT} columns.", hint="remove those not needed"
        )
    if len(set(names)) < len(names):
        raise InvalidInputError("The table has a column twice.", hint="rename one of them")


def _check_group(group: Any) -> None:
    # Not by column: pyarrow ends the process over a column whose description is damaged.
    if group.total_byte_size > ROW_GROUP_LIMIT_BYTES:
        raise TooLargeError(
            "A row group of the Parquet file would unpack to more than"
            f" {ROW_GROUP_LIMIT_BYTES // 1024**2} MiB.",
            hint="write it in smaller row groups",
        )


def _next_size(batch: Any) -> int:
    row = max(batch.nbytes // max(batch.num_rows, 1), 1)
    return max(1, min(_MOST_ROWS, _BATCH_BYTES // row))


def _rows_of(batch: Any) -> Iterator[Row]:
    large = batch.nbytes > RECORD_LIMIT_BYTES
    for row in batch.to_pylist():
        if large and _size(row) > RECORD_LIMIT_BYTES:
            raise TooLargeError(
                f"A row of the file is larger than {RECORD_LIMIT_BYTES // 1024} KiB.",
                hint="split the record",
            )
        yield row


def _size(value: object) -> int:
    """Return about how many characters of text a value has; a picture is none of our columns."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, bytes):
        return 0
    if isinstance(value, dict):
        return sum(_size(item) for item in cast("dict[str, object]", value).values())
    if isinstance(value, list):
        return sum(_size(item) for item in cast("list[object]", value))
    return 8

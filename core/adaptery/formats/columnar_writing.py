"""Writes rows as Parquet or Arrow, with the same columns for each format whatever the rows have.

`tools` and the arguments of calls are JSON text: their shape differs from row to row.
"""

# pyarrow has no type stubs, so what comes from it is Any.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from adaptery.formats.columnar import import_pyarrow
from adaptery.schemas.mappings import Format

__all__ = ["write_arrow", "write_parquet"]

_BATCH_ROWS = 1_000


def write_parquet(rows: Iterator[dict[str, object]], path: Path, format: Format) -> None:
    """Write rows as a Parquet file (zstd).

    Raises:
        MissingExtraError: without pyarrow.
        OSError: if it cannot be written.
    """
    pyarrow = import_pyarrow()
    schema = _schema(pyarrow, format)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(pyarrow, schema, rows):
            writer.write_batch(batch)


def write_arrow(rows: Iterator[dict[str, object]], path: Path, format: Format) -> None:
    """Write rows as an Arrow file.

    Raises:
        MissingExtraError: without pyarrow.
        OSError: if it cannot be written.
    """
    pyarrow = import_pyarrow()
    schema = _schema(pyarrow, format)
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, schema) as writer:
        for batch in _batches(pyarrow, schema, rows):
            writer.write_batch(batch)


def _batches(pyarrow: Any, schema: Any, rows: Iterator[dict[str, object]]) -> Iterator[Any]:
    while chunk := list(islice(rows, _BATCH_ROWS)):
        yield pyarrow.RecordBatch.from_pylist([_flat(row) for row in chunk], schema=schema)


def _flat(row: dict[str, object]) -> dict[str, object]:
    tools = row.get("tools")
    return (
        {**row, "tools": json.dumps(tools, ensure_ascii=False)} if isinstance(tools, list) else row
    )


def _schema(pa: Any, format: Format) -> Any:
    text = pa.string()
    call = pa.struct([("name", text), ("arguments", text)])
    details = [("weight", pa.float64()), ("name", text)]
    turn = pa.struct([("from", text), ("value", text), *details, ("tool_calls", pa.list_(call))])
    spelled = pa.struct([("id", text), ("type", text), ("function", call)])
    message = pa.struct(
        [
            *(("role", text), ("content", text), *details),
            *(("tool_calls", pa.list_(spelled)), ("tool_call_id", text)),
        ]
    )
    fields: dict[Format, list[tuple[str, Any]]] = {
        "alpaca": [
            *(("instruction", text), ("input", text), ("output", text), ("system", text)),
            *(("history", pa.list_(pa.list_(text))), ("tools", text)),
        ],
        "prompt": [("prompt", text), ("completion", text), ("system", text), ("tools", text)],
        "text": [("text", text)],
        "sharegpt": [("conversations", pa.list_(turn)), ("tools", text)],
        "preference": [
            *(("conversations", pa.list_(turn)), ("chosen", turn), ("rejected", turn)),
            ("tools", text),
        ],
        "openai": [("messages", pa.list_(message)), ("tools", text)],
        "kto": [("messages", pa.list_(message)), ("label", pa.bool_()), ("tools", text)],
    }
    return pa.schema(fields[format])

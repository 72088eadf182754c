"""Writes records as a file of any format and container, and reports what that could not hold.

What always holds:
- The file is there whole, or not at all: it is written beside its place and moved there.
- Memory is bounded by a few records; records may come from anywhere, one by one.
- `read_records` reads what was written as the records that went in, but for what the report names.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError, RecordError
from adaptery.formats.columnar_writing import write_arrow, write_parquet
from adaptery.formats.table_writing import write_table
from adaptery.formats.translation import translate
from adaptery.records import Record
from adaptery.schemas.mappings import Container, Format

__all__ = ["MEDIA_TYPES", "SUFFIXES", "WriteReport", "write_folder", "write_records"]

#: Refused records that a report lists; the rest is counted.
REFUSED_LISTED = 1_000
#: How the files of each container are named; a folder has no suffix.
SUFFIXES: Final[AnyMapping[Container, str]] = {
    "json": ".json",
    "jsonl": ".jsonl",
    "csv": ".csv",
    "tsv": ".tsv",
    "parquet": ".parquet",
    "arrow": ".arrow",
    "txt": ".txt",
    "zip": ".zip",
    "folder": "",
}
MEDIA_TYPES: Final[AnyMapping[Container, str]] = {
    "json": "application/json",
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "txt": "text/plain; charset=utf-8",
    "zip": "application/zip",
    "folder": "application/zip",
}
_EMPTY_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


@dataclass
class WriteReport:
    """What became of the records."""

    records: int = 0
    #: What the format has no place for, and in how many records.
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    #: Records that the format cannot hold, by number; the first thousand.
    refused: list[FieldProblem] = field(default_factory=list[FieldProblem])
    refused_count: int = 0
    #: Cells of a table that got an apostrophe, so that no spreadsheet runs them.
    escaped_cells: int = 0


def write_records(
    records: Iterable[Record], path: Path, format: Format, container: Container
) -> WriteReport:
    """Write records as a file, or as a folder for the container `folder`.

    Args:
        records: taken one by one.
        path: where the file or folder will be.
        format: what the rows look like.
        container: what they are written in.

    Raises:
        InvalidInputError: if no record can be written so, or plain text is asked of another format.
        ConflictError: if a folder is there already.
        MissingExtraError: for Parquet, Arrow and folders without pyarrow.
        OSError: if it cannot be written.
    """
    if container == "folder":
        return write_folder({"train": records}, path, format)
    if container == "txt" and format != "text":
        problem = FieldProblem(
            "container", "holds texts only.", "Choose jsonl, or the format text."
        )
        raise InvalidInputError(errors=[problem])
    report = WriteReport()
    rows = _rows(records, format, container, report)
    with _moved_into_place(path) as part:
        _write_file(rows, part, format, container, report)
        _check_any(report)
    return report


def _rows(
    records: Iterable[Record],
    format: Format,
    container: Container,
    report: WriteReport,
    split: str = "",
) -> Iterator[dict[str, object]]:
    dropped = Counter(report.dropped)
    for number, record in enumerate(records, start=1):
        try:
            translation = translate(record, format)
        except RecordError as exc:
            _refuse(report, f"{split} record {number}".strip(), exc.errors[0])
            continue
        row, lost = translation.row, translation.dropped
        if container == "txt":
            row["text"], lost = _without_empty_lines(str(row["text"]))
        dropped.update(lost)
        report.records += 1
        report.dropped = dict(dropped)
        yield row


def _refuse(report: WriteReport, record: str, problem: FieldProblem) -> None:
    report.refused_count += 1
    if len(report.refused) < REFUSED_LISTED:
        where = f"{record}, {problem.where}"
        report.refused.append(FieldProblem(where, problem.reason, problem.remedy))


def _check_any(report: WriteReport) -> None:
    if not report.records:
        raise InvalidInputError(
            "No record can be written so.",
            hint="choose another format, or convert the records first",
            errors=report.refused[:20],
        )


def _without_empty_lines(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a text as one paragraph, for empty lines part the records of a text file."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    paragraph = _EMPTY_LINES.sub("\n", unified).strip()
    return paragraph, () if paragraph == text else ("empty lines and space around texts",)


@contextmanager
def _moved_into_place(path: Path) -> Generator[Path]:
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_file(
    rows: Iterator[dict[str, object]],
    path: Path,
    format: Format,
    container: Container,
    report: WriteReport,
) -> None:
    match container:
        case "csv" | "tsv":
            delimiter = "," if container == "csv" else "\t"
            report.escaped_cells = write_table(rows, path, format, delimiter)
        case "parquet":
            write_parquet(rows, path, format)
        case "arrow":
            write_arrow(rows, path, format)
        case "zip":
            _write_zip(rows, path)
        case _:
            with path.open("w", encoding="utf-8", newline="") as stream:
                _write_text(rows, stream, container)


def _write_text(rows: Iterator[dict[str, object]], stream: IO[str], container: Container) -> None:
    if container == "jsonl":
        for row in rows:
            stream.write(f"{json.dumps(row, ensure_ascii=False)}\n")
    elif container == "json":
        before = "[\n"
        for row in rows:
            stream.write(f"{before}{json.dumps(row, ensure_ascii=False)}")
            before = ",\n"
        stream.write("\n]\n")
    else:
        before = ""
        for row in rows:
            stream.write(f"{before}{row['text']}\n")
            before = "\n"


def _write_zip(rows: Iterator[dict[str, object]], path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("records.jsonl", "w") as stream,
    ):
        for row in rows:
            stream.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())


# -- a folder that both `datasets.load_dataset` and LLaMA-Factory load -------------------------

_CARD: Final = """---
configs:
- config_name: default
  data_files:
{files}---

Records in the format {format}. `datasets.load_dataset` loads this folder; `dataset_info.json` tells
LLaMA-Factory what its columns are.
"""


def write_folder(
    splits: AnyMapping[str, Iterable[Record]], path: Path, format: Format
) -> WriteReport:
    """Write the records of each split as a file of their own, in a folder that says which is which.

    Args:
        splits: the records of each split, taken one by one; one that comes to nothing has no file.
        path: where the folder will be.
        format: what the rows look like.

    Raises:
        InvalidInputError: if no record can be written so.
        ConflictError: if it is there already.
        MissingExtraError: without pyarrow.
        OSError: if it cannot be written.
    """
    if path.exists():
        raise ConflictError("The folder is there already.", hint="choose a new name")
    report = WriteReport()
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as made:
        folder = Path(made) / "folder"
        (folder / "data").mkdir(parents=True)
        written: list[str] = []
        for split, records in splits.items():
            before = report.records
            said = split if len(splits) > 1 else ""
            file = folder / _data_file(split)
            write_parquet(_rows(records, format, "folder", report, said), file, format)
            if report.records > before:
                written.append(split)
            else:
                file.unlink()
        _check_any(report)
        _describe_folder(folder, _entry_name(path.name), written, format)
        shutil.move(folder, path)
    return report


def _data_file(split: str) -> str:
    return f"data/{split}-00000-of-00001.parquet"


def _describe_folder(folder: Path, name: str, splits: Sequence[str], format: Format) -> None:
    """Write what both readers look for; LLaMA-Factory knows no splits, so each is a data set."""
    info = {
        name if len(splits) == 1 else f"{name}_{split}": {
            "file_name": _data_file(split),
            **_described(format),
        }
        for split in splits
    }
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n")
    files = "".join(f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in splits)
    (folder / "README.md").write_text(_CARD.format(format=format, files=files))


def _entry_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "dataset"


def _described(format: Format) -> AnyMapping[str, object]:
    """Return what `dataset_info.json` says about a format."""
    turns = {"formatting": "sharegpt"}
    roles = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "observation_tag": "tool",
        "system_tag": "system",
    }
    match format:
        case "alpaca":
            columns = _columns("system", "history", "tools")
            plain = {"prompt": "instruction", "query": "input", "response": "output"}
            return {"columns": {**plain, **columns}}
        case "prompt":
            columns = {"prompt": "prompt", "response": "completion"}
            return {"columns": {**columns, **_columns("system", "tools")}}
        case "text":
            return {"columns": {"prompt": "text"}}
        case "sharegpt":
            return {**turns, "columns": {"messages": "conversations", **_columns("tools")}}
        case "preference":
            columns = {"messages": "conversations", **_columns("chosen", "rejected", "tools")}
            return {**turns, "ranking": True, "columns": columns}
        case "openai":
            return {**turns, "columns": _columns("messages", "tools"), "tags": roles}
        case "kto":
            columns = {**_columns("messages", "tools"), "kto_tag": "label"}
            return {**turns, "columns": columns, "tags": roles}


def _columns(*names: str) -> dict[str, str]:
    return {name: name for name in names}

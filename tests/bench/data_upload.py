"""Uploads of the benchmark `data`: memory of the service, an interruption, others' page loads.

A file of 1 GiB is sent by the client over a connection that breaks once in its middle, then
imported. Meanwhile another user opens a dataset again and again: the page, its view, who they are,
their datasets, the first records. Goals: the service's memory grows by less than 64 MiB, the upload
resumes instead of beginning again, and a page load takes less than 300 ms at the 95th percentile.

Run alone as: `python tests/bench/data_upload.py [MEBIBYTES]`. `bench_data.py` calls `measure`.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from measures import Measure  # noqa: E402

import adaptery  # noqa: E402
from support.service import alpaca  # noqa: E402
from support.service_process import ServiceProcess, service_process, token_of  # noqa: E402

MEBIBYTE = 1024 * 1024
SIZE_BYTES = 1024 * MEBIBYTE
#: Characters of an answer: a file of 1 GiB has a quarter of a million records.
ANSWER_CHARACTERS = 4000
MEMORY_GOAL_BYTES = 64 * MEBIBYTE
PAGE_GOAL_MS = 300.0
#: A person opens pages in no quicker succession.
PAGE_PAUSE_SECONDS = 0.2
SAMPLE_SECONDS = 0.05
QUIET_PAGES = 20
IMPORT_SECONDS = 3600.0


@dataclass
class UploadResult:
    """What was measured."""

    size_bytes: int
    upload_seconds: float = 0.0
    import_seconds: float = 0.0
    #: Bytes that were sent again because the connection broke.
    sent_again_bytes: int = 0
    upload_growth_bytes: int = 0
    import_growth_bytes: int = 0
    quiet_pages_ms: list[float] = field(default_factory=list[float])  # before it all
    upload_pages_ms: list[float] = field(default_factory=list[float])
    import_pages_ms: list[float] = field(default_factory=list[float])
    records: int = 0


class BreakingTransport(httpx.HTTPTransport):
    """A connection that breaks once, after so many bytes of uploads."""

    def __init__(self, break_at: int) -> None:
        super().__init__()
        self._left = break_at
        self.sent = 0
        self.broke = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""
        if request.method == "PUT":
            assert isinstance(request.stream, httpx.SyncByteStream)
            request.stream = _Counted(request.stream, self)
        return super().handle_request(request)

    def count(self, size: int) -> None:
        """Count what is sent; break when its time has come."""
        self.sent += size
        if not self.broke and self.sent >= self._left:
            self.broke = True
            raise httpx.WriteError("the connection broke")


class _Counted(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, transport: BreakingTransport) -> None:
        self._stream = stream
        self._transport = transport

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._transport.count(len(chunk))
            yield chunk


def measure(size_bytes: int = SIZE_BYTES) -> list[Measure]:
    """Return the rows of the table."""
    with tempfile.TemporaryDirectory(prefix="bench-upload-") as folder:
        return rows(measure_upload(Path(folder), size_bytes))


def rows(result: UploadResult) -> list[Measure]:
    """Return what was measured as rows of the table."""
    size = f"{result.size_bytes / MEBIBYTE:.0f} MiB"
    pages = f"{len(result.upload_pages_ms)} and {len(result.import_pages_ms)} loads, one user"
    return [
        Measure(
            f"upload of {size}, one break: service memory grows",
            max(result.upload_growth_bytes, result.import_growth_bytes) / MEBIBYTE,
            "MiB",
            "peak VmRSS of the service over what it was, upload and import",
            limit=MEMORY_GOAL_BYTES / MEBIBYTE,
        ),
        Measure(
            "of it sent again after the break",
            result.sent_again_bytes / MEBIBYTE,
            "MiB",
            "bytes the client sent beyond the file's",
            limit=32.0,  # two parts of the client
        ),
        Measure(
            "another user's page load meanwhile, p95",
            max(p95(result.upload_pages_ms), p95(result.import_pages_ms)),
            "ms",
            f"page, view, whoami, datasets, first records; {pages}",
            limit=PAGE_GOAL_MS,
        ),
        Measure(
            "the same page load before",
            p95(result.quiet_pages_ms),
            "ms",
            f"p95 of {len(result.quiet_pages_ms)} loads while nobody uploads",
        ),
        Measure("upload", result.upload_seconds, "s", f"{size} over loopback, later"),
        Measure("import", result.import_seconds, "s", f"{result.records:,} records, own process"),
    ]


def measure_upload(folder: Path, size_bytes: int = SIZE_BYTES) -> UploadResult:
    """Send a file, break the connection once, import it, and look how others fare."""
    source = folder / "large.jsonl"
    write_records(source, size_bytes)
    result = UploadResult(source.stat().st_size)
    with service_process(folder / "state", max_upload_bytes=4 * size_bytes) as service:
        guest_dataset = _prepare(service)
        reader = PageReader(service.url, guest_dataset)
        reader.load()
        result.quiet_pages_ms = [reader.load() for _ in range(QUIET_PAGES)]
        transport = BreakingTransport(result.size_bytes // 2)
        with adaptery.connect(service.url, token_of("demo"), transport=transport) as hub:
            visits = hub.datasets.create("large")
            with watched(service, reader) as seen:
                began = time.perf_counter()
                file = visits.upload(source, later=True, progress=False)
                result.upload_seconds = time.perf_counter() - began
            result.upload_growth_bytes, result.upload_pages_ms = seen.growth_bytes, seen.pages_ms
            assert transport.broke and file.state == "received", file
            result.sent_again_bytes = transport.sent - result.size_bytes
            with watched(service, reader) as seen:
                began = time.perf_counter()
                file = visits.import_file(file, timeout_seconds=IMPORT_SECONDS, progress=False)
                result.import_seconds = time.perf_counter() - began
            result.import_growth_bytes, result.import_pages_ms = seen.growth_bytes, seen.pages_ms
            result.records = file.records
    return result


def write_records(path: Path, size_bytes: int) -> None:
    """Write an Alpaca file of this size, each record different."""
    words = "the patient reports a dry cough at night and no fever since monday "
    filler = (words * (ANSWER_CHARACTERS // len(words) + 1))[:ANSWER_CHARACTERS]
    with path.open("w", encoding="utf-8") as stream:
        number = written = 0
        while written < size_bytes:
            row = {"instruction": f"Write note {number}.", "output": f"{number}: {filler}"}
            written += stream.write(json.dumps(row) + "\n")
            number += 1


class PageReader:
    """Another user, who opens a dataset as the page does."""

    def __init__(self, url: str, dataset: str) -> None:
        headers = {"Authorization": f"Bearer {token_of('guest')}", "Accept": "text/html"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=30)
        self._dataset = dataset

    def load(self) -> float:
        """Open the page; return how many milliseconds it took."""
        began = time.perf_counter()
        for path in ("", "views/curate.js", "api/whoami", "api/datasets?limit=50"):
            self._client.get(path).raise_for_status()
        search = f"api/datasets/{self._dataset}/records/search"
        self._client.post(search, json={"limit": 50}).raise_for_status()
        return (time.perf_counter() - began) * 1000


@dataclass
class Seen:
    """What was seen of the service while something went on."""

    growth_bytes: int = 0
    pages_ms: list[float] = field(default_factory=list[float])


@contextmanager
def watched(service: ServiceProcess, reader: PageReader) -> Iterator[Seen]:
    """Watch the memory of the service, and load pages, as long as the context lasts."""
    seen, over = Seen(), threading.Event()
    before = resident_bytes(service.pid)

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            seen.growth_bytes = max(seen.growth_bytes, resident_bytes(service.pid) - before)

    def read() -> None:
        while not over.wait(PAGE_PAUSE_SECONDS):
            seen.pages_ms.append(reader.load())

    threads = [threading.Thread(target=watch), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def p95(values: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else max(values, default=0.0)


def _prepare(service: ServiceProcess) -> str:
    """Give the other user a dataset, and have everything run once; return its id."""
    with (
        adaptery.connect(service.url, token_of("guest")) as hub,
        tempfile.TemporaryDirectory() as folder,
    ):
        small = Path(folder) / "small.json"
        small.write_bytes(alpaca(200))
        visits = hub.datasets.create("small")
        visits.upload(small, progress=False)
        large = Path(folder) / "over.jsonl"  # this one starts the server of child processes
        write_records(large, 2 * MEBIBYTE)
        visits.upload(large, progress=False)
        return visits.id


if __name__ == "__main__":
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE_BYTES // MEBIBYTE
    for one in measure(mebibytes * MEBIBYTE):
        print(json.dumps(one.as_row()))

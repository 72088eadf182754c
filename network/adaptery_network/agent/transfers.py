"""Moves folders over a session: inputs and adapters in, checkpoints and adapters out.

A file travels as chunks, several under way at once, each asked for or written by its offset, so a
lost chunk costs one chunk. Not here: sealing, retries of a chunk (`lines`), or what a folder means.

Invariants:
- a file gets its name only when its SHA-256 is the announced one; until then it is a ``.part``
  file that always holds a contiguous beginning, so the next try goes on where this one stopped;
- no path from the other side leaves the folder it belongs in, and nothing but what a worker wrote
  itself leaves the host (`work_files`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from adaptery.digests import is_digest, sha256_file, sha256_stream
from adaptery.errors import IntegrityError
from adaptery.files import safe_join
from adaptery_network.agent.lines import Line
from adaptery_network.agent.work_files import OpenFolder

logger = logging.getLogger(__name__)

#: A quarter of the broker's payload limit: small enough not to hold up a heartbeat.
CHUNK_BYTES = 256 * 1024
#: Chunks under way at once: 2 MiB hide the round trip and fit any socket buffer.
WINDOW_CHUNKS = 8
#: More files than this are no dataset version, checkpoint or adapter.
FILES_LIMIT = 10_000

T = TypeVar("T")


@dataclass(frozen=True)
class FileEntry:
    """One file of a folder that is moved."""

    path: str
    bytes: int
    digest: str


def list_folder(folder: OpenFolder) -> list[FileEntry]:
    """Return the files of a folder of a worker with sizes and digests, by name. Blocks.

    Raises:
        FileNotFoundError: one went away meanwhile.
        IntegrityError: there is something else than plain files of the worker's.
    """
    entries: list[FileEntry] = []
    for name in folder.names():
        with folder.open(name) as stream:
            size = os.fstat(stream.fileno()).st_size
            entries.append(FileEntry(name, size, sha256_stream(stream)))
    return entries


async def fetch_folder(
    line: Line, into: Path, place: Callable[[str], str | None] = lambda path: path
) -> list[FileEntry]:
    """Fetch every file that the session offers; what is here already is not fetched again.

    A version that is offered twice, to learn from and to evaluate on, comes once.

    Args:
        line: the session.
        into: the folder that receives them.
        place: where a file of the other side goes here; None leaves it out.

    Raises:
        IntegrityError: what came is not what was announced, twice.
        InvalidInputError: a path leads out of the folder.
        AdapteryError: the service refuses.
    """
    answer, _ = await line.request("bulk", {"op": "list"})
    wanted = [
        (entry, safe_join(into, place_here))
        for entry in parse_entries(answer.get("files"))
        if (place_here := place(entry.path)) is not None
    ]
    fetched: dict[str, Path] = {}
    for entry, target in wanted:
        twin = fetched.setdefault(entry.digest, target)
        if twin == target:
            await _fetch_file(line, entry, target)
        elif not (target.exists() and await _is_whole(target, entry)):
            await asyncio.to_thread(_repeat, twin, target)
    return [entry for entry, _ in wanted]


def _repeat(twin: Path, target: Path) -> None:
    """Have a file under another name too. Blocks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(twin, target)
    except OSError:  # a file system without links
        shutil.copyfile(twin, target)


def parse_entries(listed: object) -> list[FileEntry]:
    """Read a list of files from the other side.

    Raises:
        IntegrityError: it is not one.
    """
    if not isinstance(listed, list) or len(listed) > FILES_LIMIT:
        raise IntegrityError("The list of files is not one, or is too long.")
    return [_parse_entry(item) for item in listed]


def _parse_entry(item: object) -> FileEntry:
    if isinstance(item, dict):
        path, size, digest = item.get("path"), item.get("bytes"), item.get("digest")
        if (
            isinstance(path, str)
            and isinstance(size, int)
            and size >= 0
            and isinstance(digest, str)
            and is_digest(digest)
        ):
            return FileEntry(path, size, digest)
    raise IntegrityError("An entry of the list of files is malformed.")


async def _fetch_file(line: Line, entry: FileEntry, target: Path) -> None:
    if target.exists() and await _is_whole(target, entry):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{entry.digest.partition(':')[2]}.part")
    for _ in range(2):  # a beginning left by an earlier try may be bad: then once from nothing
        await _fetch_part(line, entry, part)
        if await _is_whole(part, entry):
            part.replace(target)
            return
        part.unlink()
    raise IntegrityError("A fetched file does not have the announced digest.")


async def _is_whole(path: Path, entry: FileEntry) -> bool:
    if path.stat().st_size != entry.bytes:
        return False
    return await asyncio.to_thread(sha256_file, path) == entry.digest


async def _fetch_part(line: Line, entry: FileEntry, part: Path) -> None:
    part.touch(mode=0o600)
    start = part.stat().st_size
    if start > entry.bytes:
        os.truncate(part, 0)
        start = 0

    def read(offset: int) -> Callable[[], Awaitable[bytes]]:
        length = min(CHUNK_BYTES, entry.bytes - offset)

        async def ask() -> bytes:
            header = {"op": "read", "path": entry.path, "offset": offset, "length": length}
            _, blob = await line.request("bulk", header)
            if len(blob) != length:
                raise IntegrityError("A chunk of a file came with the wrong length.")
            return blob

        return ask

    with part.open("ab") as stream:
        async with aclosing(in_window(map(read, _offsets(start, entry.bytes)))) as chunks:
            async for blob in chunks:
                stream.write(blob)


async def send_folder(
    line: Line, work: Path, path: str, remote: str, facts: Mapping[str, object] | None = None
) -> list[FileEntry]:
    """Send a folder of plain files and have the service register it; return its files.

    Args:
        line: the session.
        work: the work folder that it lies in.
        path: of what is sent, in there.
        remote: ``adapter`` or ``checkpoints/<step>``.
        facts: more fields of the commit, such as the step.

    Raises:
        FileNotFoundError: the folder went away meanwhile.
        IntegrityError: there is something else in it than plain files of the worker's.
        AdapteryError: the service refuses.
    """
    with OpenFolder(work, path) as folder:
        entries = await asyncio.to_thread(list_folder, folder)
        if not entries:
            raise FileNotFoundError(path)
        for entry in entries:
            await _send_file(line, folder, entry, remote)
    commit = {
        **(facts or {}),
        "op": "commit",
        "folder": remote,
        "files": [asdict(entry) for entry in entries],
    }
    await line.request("bulk", commit)
    return entries


async def _send_file(line: Line, folder: OpenFolder, entry: FileEntry, remote: str) -> None:
    with folder.open(entry.path) as stream:

        def write(offset: int) -> Callable[[], Awaitable[None]]:
            # Read when the window reaches it, so that a big file is never whole in memory.
            async def tell() -> None:
                header = {
                    "op": "write",
                    "path": f"{remote}/{entry.path}",
                    "offset": offset,
                    "bytes": entry.bytes,
                    "digest": entry.digest,
                }
                await line.request("bulk", header, os.pread(stream.fileno(), CHUNK_BYTES, offset))

            return tell

        # An empty file still needs one write, or the service would never hear of it.
        offsets: Sequence[int] = _offsets(0, entry.bytes) or (0,)
        async with aclosing(in_window(map(write, offsets))) as acknowledged:
            async for _ in acknowledged:
                pass


def _offsets(start: int, size: int) -> Sequence[int]:
    return range(start, size, CHUNK_BYTES)


async def in_window(
    jobs: Iterable[Callable[[], Awaitable[T]]], width: int = WINDOW_CHUNKS
) -> AsyncGenerator[T, None]:
    """Run jobs so many at once and yield their results in order; leaving ends those under way."""
    pending: deque[asyncio.Task[T]] = deque()

    async def run(job: Callable[[], Awaitable[T]]) -> T:
        return await job()

    try:
        for job in jobs:
            pending.append(asyncio.create_task(run(job)))
            if len(pending) >= width:
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

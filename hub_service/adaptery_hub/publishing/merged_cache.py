"""The cache of what merged versions come to: made when somebody reads one, and made again at need.

`<manifest digest>/data/*.parquet` with a `manifest.json` of its own, signed here, which names these
files and the content digest of the version.

Invariants:

- What is here was checked against the content digest of its version when it was made, and against
  its manifest when this process first used it.
- Nothing here is needed: a folder that is missing or damaged is made again from its sources.
- It grows beyond its limit only by folders that were read within the last minutes.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from adaptery.digests import sha256_file
from adaptery.errors import AdapteryError, ConflictError, IntegrityError, UnavailableError
from adaptery.files import rename_atomic, write_atomic
from adaptery.ids import new_id
from adaptery.manifests import (
    MANIFEST_NAME,
    Manifest,
    ManifestFile,
    PlainFile,
    manifest_digest,
    sign_manifest,
    verify_files,
    verify_manifest,
)
from adaptery.schemas.common import parse
from adaptery.signing import SigningKey
from adaptery_hub.at_rest import AtRestDesk
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes
from adaptery_hub.publishing.describing import version_prefix
from adaptery_hub.publishing.merging import Source, write_merged_shards
from adaptery_hub.publishing.recipes import Recipe
from adaptery_hub.publishing.shards import is_shard

#: The shards of a version as they can be read here, by the names in its manifest.
Shards = Mapping[str, Readable]
#: A folder that was asked for so recently may be in use.
IN_USE_SECONDS = 600.0
#: How long a reader waits while another one has the version put together.
WAIT_SECONDS = 10.0


class _Content(Protocol):
    @property
    def manifest(self) -> Manifest: ...

    @property
    def shards(self) -> Shards: ...


#: Gives the content of a version by its prefix.
OpenSource = Callable[[str], _Content]


class Unwatched(Progress):
    """Progress that nobody follows: a reader waits for the end."""

    def __init__(self) -> None:
        self.done = self.total = 0

    def report(self, done: int, total: int) -> None:
        """Tell nobody."""

    def check(self) -> None:
        """Go on."""


class MergedCache:
    """Keeps merged versions. Blocking: use it in a thread only."""

    def __init__(
        self,
        folder: Path,
        key: SigningKey,
        processes: Processes,
        at_rest: AtRestDesk,
        shard_records: int,
        limit_bytes: int,
    ) -> None:
        self._folder = folder
        self._key = key
        self._processes = processes
        self._at_rest = at_rest
        self._shard_records = shard_records
        self._limit_bytes = limit_bytes
        self._known: dict[str, Manifest] = {}
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob(".*"):  # of a process that died
            shutil.rmtree(left, ignore_errors=True)

    def content(
        self, manifest: Manifest, open_source: OpenSource
    ) -> tuple[Manifest, bytes, Shards]:
        """Return the manifest of the folder of a merged version, its bytes, and its shards.

        Raises:
            ConflictError: a version that it references is gone.
            IntegrityError: the sources do not come to what was published.
            UnavailableError: somebody else waits for it, and it takes longer.
        """
        name = manifest_digest(manifest).removeprefix("sha256:")
        with self._making(name):
            held = self._held(name) or self._make(name, manifest, open_source)
        folder = self._folder / name
        os.utime(folder)
        self._evict()
        local = {
            entry.path: self._at_rest.readable(held, folder / entry.path) for entry in held.files
        }
        return held, (folder / MANIFEST_NAME).read_bytes(), local

    def remove(self, name: str) -> None:
        """Remove a folder; nothing happens if there is none."""
        self._known.pop(name, None)
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def clear(self) -> None:
        """Remove every folder: a source was erased, and nobody knows any more whose it was."""
        for folder in self._folder.iterdir():
            self.remove(folder.name)

    def _held(self, name: str) -> Manifest | None:
        folder = self._folder / name
        known = self._known.get(name)
        if known is not None and folder.is_dir():
            return known
        try:
            manifest = Manifest.from_bytes((folder / MANIFEST_NAME).read_bytes())
            verify_manifest(manifest, self._key.verify_key)
            verify_files(folder, _as_stored(manifest))
        except (OSError, AdapteryError):
            self.remove(name)
            return None
        self._known[name] = manifest
        return manifest

    def _make(self, name: str, manifest: Manifest, open_source: OpenSource) -> Manifest:
        recipe = parse(Recipe, manifest.recipe, IntegrityError)
        unfinished = self._folder / f".{new_id('op')}"
        unfinished.mkdir(mode=0o700)
        try:
            digest = self._processes.run(
                write_merged_shards,
                Unwatched(),
                unfinished,
                open_sources(recipe, open_source),
                recipe.kind,
                dict(manifest.recipe or {}),
                self._shard_records,
            )
            if digest != manifest.content_digest:
                raise IntegrityError(
                    "The sources of this merged version do not come to what was published."
                )
            made = self._sign(unfinished, manifest)
            rename_atomic(unfinished, self._folder / name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        self._known[name] = made
        return made

    def _sign(self, folder: Path, manifest: Manifest) -> Manifest:
        at_rest = manifest.at_rest
        plain: Mapping[str, PlainFile] = {}
        if at_rest is not None:
            plain = self._at_rest.seal_folder(manifest.dataset, folder, at_rest.key).plain
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        entries = tuple(
            ManifestFile(
                path=path.relative_to(folder).as_posix(),
                bytes=path.stat().st_size,
                digest=sha256_file(path),
                plain=plain.get(path.relative_to(folder).as_posix()),
            )
            for path in paths
        )
        assert all(is_shard(entry.path) for entry in entries)
        changes = {"files": entries, "sources": None, "signature": None}
        made = sign_manifest(manifest.model_copy(update=changes), self._key)
        write_atomic(folder / MANIFEST_NAME, made.to_bytes())
        return made

    def _evict(self) -> None:
        folders = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        sizes = {path: _size(path) for path in folders}
        horizon, held = time.time() - IN_USE_SECONDS, sum(sizes.values())
        for path in sorted(folders, key=_used_at):
            if held <= self._limit_bytes or _used_at(path) > horizon:
                return
            held -= sizes[path]
            self.remove(path.name)

    @contextmanager
    def _making(self, name: str) -> Iterator[None]:
        """Let one thread at a time look for a folder and make it; the others wait for a while."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=WAIT_SECONDS):
            raise UnavailableError(
                "This merged version is being put together.",
                hint="Try again in a moment.",
                retry_after_seconds=WAIT_SECONDS,
            )
        try:
            yield
        finally:
            lock.release()


def _as_stored(manifest: Manifest) -> Manifest:
    """Return the manifest of the files as they lie on the disk, encrypted or not."""
    files = tuple(entry.model_copy(update={"plain": None}) for entry in manifest.files)
    return manifest.model_copy(update={"files": files})


def open_sources(recipe: Recipe, open_source: OpenSource) -> tuple[Source, ...]:
    """Return the sources of a recipe as local files, each checked.

    Raises:
        ConflictError: one is gone.
    """
    heaviest = max(1.0, *(source.weight for source in recipe.sources))
    sources: list[Source] = []
    for wanted in recipe.sources:
        prefix = version_prefix(wanted.dataset, wanted.content_digest, wanted.split_digest)
        try:
            content = open_source(prefix)
        except IntegrityError as error:
            raise ConflictError(
                "A version that this merged one references cannot be read any more.",
                hint="It was erased, or its files are damaged: ask an administrator.",
            ) from error
        sources.append(
            Source(
                records=content.manifest.records,
                shards=dict(content.shards),
                share=wanted.weight / heaviest,
                sample=wanted.sample,
                seed=wanted.seed,
                filter=wanted.filter,
            )
        )
    return tuple(sources)


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

"""Where uploaded files lie: one folder for each dataset, readable by the service alone.

`<digest>.original` is a file as it came, byte for byte; files of the same content share it. Once
its records are in the draft of a restricted dataset, it is encrypted as `<digest>.sealed`.
`<name's digest>.part` is one that is still coming, `<file id>.problems` the list of what was wrong
in one (see `adaptery_hub.imports`), `<anything>.scratch` a folder for what is unpacked while one is
read. Names come from users: only their digest goes into a path.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

_ORIGINAL, _PART, _PROBLEMS, _SCRATCH = ".original", ".part", ".problems", ".scratch"
_SEALED, _SEALING = ".sealed", ".sealing"


class Originals:
    """The folder of all uploads. Blocking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def make_folder(self, dataset_id: str) -> None:
        """Make the folder of a dataset, if it is not there."""
        (self._folder / dataset_id).mkdir(exist_ok=True, mode=0o700)

    def part(self, dataset_id: str, name: str) -> Path:
        """Return where a file of this name lies while it comes."""
        return self._folder / dataset_id / f"{hashlib.sha256(name.encode()).hexdigest()}{_PART}"

    def original(self, dataset_id: str, digest: str) -> Path:
        """Return where the bytes with this digest lie."""
        return self._folder / dataset_id / f"{digest.removeprefix('sha256:')}{_ORIGINAL}"

    def sealed(self, dataset_id: str, digest: str) -> Path:
        """Return where the same bytes lie once they are encrypted."""
        return self.original(dataset_id, digest).with_suffix(_SEALED)

    def holds(self, dataset_id: str, digest: str) -> bool:
        """Say whether these bytes are here."""
        paths = (self.original(dataset_id, digest), self.sealed(dataset_id, digest))
        return any(path.exists() for path in paths)

    def problems(self, dataset_id: str, file_id: str) -> Path:
        """Return where the problems of a file are listed."""
        return self._folder / dataset_id / f"{file_id}{_PROBLEMS}"

    def scratch(self, dataset_id: str) -> Path:
        """Return a name for a folder that goes when the reading of a file ends."""
        return self._folder / dataset_id / f"{secrets.token_hex(8)}{_SCRATCH}"

    def remove_scratch(self) -> None:
        """Remove what a kill left of readings and encryptions; called at start."""
        for path in self._folder.glob(f"*/.*{_SEALING}"):
            path.unlink()
        for path in self._folder.glob(f"*/*{_SCRATCH}"):
            shutil.rmtree(path, ignore_errors=True)

    def parts(self) -> Iterator[Path]:
        """Yield every file that is still coming."""
        return self._folder.glob(f"*/*{_PART}")

    def dataset_ids(self) -> list[str]:
        """Return the datasets that have a folder."""
        return [path.name for path in self._folder.iterdir() if path.is_dir()]

    def remove(self, dataset_id: str) -> None:
        """Remove everything of a dataset."""
        shutil.rmtree(self._folder / dataset_id, ignore_errors=True)

    def kept(self, dataset_id: str) -> list[Path]:
        """Return what lies there of files that came whole."""
        folder = self._folder / dataset_id
        return [path for path in folder.glob("*") if path.suffix not in (_PART, _SCRATCH, _SEALING)]

    def named(self, path: Path, digests: Collection[str], file_ids: Collection[str]) -> bool:
        """Say whether one of these files has left what lies there."""
        if path.suffix in (_ORIGINAL, _SEALED):
            return f"sha256:{path.stem}" in digests
        return path.name.partition(".")[0] in file_ids

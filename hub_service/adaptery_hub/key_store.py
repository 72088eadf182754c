"""The key store: one key for each restricted dataset, outside of what is backed up.

A folder with one file for each dataset, mode 0600. To destroy the file is to make everything that
was encrypted with it unreadable, in the store, in its backups and wherever else it was copied to;
so this folder must never be in the same backup.

Invariants:

- A key is written once and never changed, whoever asks for it at the same time, in this process or
  another; what is destroyed is never made again with its id.
- A key is on disk before anything is encrypted with it.
- No key is shown by `repr`, logged or put into the database. Its id is not secret.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adaptery import base64url
from adaptery.errors import ConflictError, UnavailableError
from adaptery.files import sync_folder, write_atomic
from adaptery.ids import is_id

KEY_BYTES = 32
_ID_BYTES = 12


class KeyGoneError(ConflictError):
    """The key of these files was destroyed: nobody can read them any more."""


class KeyStoreError(UnavailableError):
    """The key store cannot be read or written."""


@dataclass(frozen=True)
class DataKey:
    """A key of a dataset."""

    id: str
    secret: bytes = field(repr=False)


class KeyStore:
    """Keeps the keys. All methods block: call them from a thread."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made when the first key is."""
        self._folder = folder

    def key(self, dataset_id: str) -> DataKey:
        """Return the key of a dataset, made on first use.

        Raises:
            KeyStoreError: the folder cannot be read or written.
        """
        found = self._read(dataset_id)
        if found is not None:
            return found
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked():
                return self._read(dataset_id) or self._make(dataset_id)
        except OSError as error:
            raise _unusable(error) from None

    def find(self, dataset_id: str, key_id: str) -> DataKey:
        """Return the key with an id.

        Raises:
            KeyGoneError: it was destroyed, or this key store never had it.
            KeyStoreError: the folder cannot be read.
        """
        found = self._read(dataset_id)
        if found is None or found.id != key_id:
            raise KeyGoneError(
                hint="It was erased. If it was not, the key store that key_store names is not the "
                "one that these files were written with: ask an administrator."
            )
        return found

    def holds(self, dataset_id: str) -> bool:
        """Tell whether there is a key for a dataset."""
        return self._path(dataset_id).exists()

    def destroy(self, dataset_id: str) -> bool:
        """Destroy the key of a dataset; tell whether there was one.

        Its bytes are overwritten first. Disks and file systems that write elsewhere instead may
        keep them for a while: an encrypted disk answers for that.

        Raises:
            KeyStoreError: it cannot be destroyed.
        """
        path = self._path(dataset_id)
        try:
            with path.open("r+b") as stream:
                stream.write(secrets.token_bytes(path.stat().st_size))
                stream.flush()
                os.fsync(stream.fileno())
            path.unlink()
            sync_folder(self._folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unusable(error) from None
        return True

    def _make(self, dataset_id: str) -> DataKey:
        made = DataKey(secrets.token_hex(_ID_BYTES), secrets.token_bytes(KEY_BYTES))
        document = {"id": made.id, "key": base64url.encode(made.secret)}
        write_atomic(self._path(dataset_id), json.dumps(document).encode())
        return made

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one thread of one process at a time make keys; a kill gives the lock back."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _read(self, dataset_id: str) -> DataKey | None:
        try:
            document = json.loads(self._path(dataset_id).read_bytes())
            return DataKey(document["id"], base64url.decode(document["key"]))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(error) from None
        except (ValueError, KeyError, TypeError):
            # Half overwritten by a `destroy` that was killed: as good as gone.
            return None

    def _path(self, dataset_id: str) -> Path:
        assert is_id(dataset_id, "ds"), "only ids name keys"
        return self._folder / f"{dataset_id}.key"


def _unusable(error: OSError) -> KeyStoreError:
    return KeyStoreError(
        f"The key store cannot be used: {error.strerror}.",
        hint="Let the service's account read and write the folder that key_store names.",
    )

"""What is encrypted at rest, and who opens it: this service, for those who may read it.

Files of a restricted dataset are encrypted with its key (`key_store`) before they are named in a
manifest, so the manifest says how they lie in the store *and* what they are in plain.

What lies there stays as it was when a dataset becomes restricted later: the store does not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptery.manifests import AtRest, Manifest, PlainFile
from adaptery_hub.key_store import KeyStore
from adaptery_hub.objects.encryption import EncryptedFile, Readable, encrypt_file

#: Of the words for sensitivity, the one whose files are encrypted.
ENCRYPTED = "restricted"


@dataclass(frozen=True)
class SealedFolder:
    """A folder whose files are encrypted now."""

    at_rest: AtRest
    plain: Mapping[str, PlainFile]  # by path, joined by slashes


class AtRestDesk:
    """Encrypts and opens. All methods block: call them from a thread."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    def seal_folder(self, dataset_id: str, folder: Path, key_id: str | None = None) -> SealedFolder:
        """Encrypt every file of a folder in its place, with the key of a dataset.

        Args:
            dataset_id: whose key.
            folder: of files.
            key_id: the one key that will do; None: the dataset's present one, made at need.

        Raises:
            KeyGoneError: that key was destroyed.
            KeyStoreError: the key store cannot be used.
            OSError: a file cannot be written.
        """
        key = self._keys.find(dataset_id, key_id) if key_id else self._keys.key(dataset_id)
        plain: dict[str, PlainFile] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            relative = path.relative_to(folder).as_posix()
            plain[relative] = encrypt_file(path, path, key.secret)
        return SealedFolder(AtRest(key=key.id), plain)

    def seal_file(self, dataset_id: str, path: Path, sealed: Path) -> None:
        """Replace a file by an encrypted one of another name, with the key of a dataset.

        Raises:
            KeyStoreError: the key store cannot be used.
            OSError: it cannot be written.
        """
        encrypt_file(path, sealed, self._keys.key(dataset_id).secret)
        path.unlink()

    def sealed(self, dataset_id: str, path: Path) -> EncryptedFile:
        """Return a file that `seal_file` encrypted.

        Raises:
            KeyStoreError: the key store cannot be used.
        """
        return EncryptedFile(path, self._keys.key(dataset_id).secret)

    def readable(self, manifest: Manifest, path: Path) -> Readable:
        """Return a file of a version as its readers get it.

        Args:
            manifest: of the version, verified.
            path: the file as it lies in the store.

        Raises:
            KeyGoneError: the key was destroyed.
            KeyStoreError: the key store cannot be used.
        """
        if manifest.at_rest is None:
            return path
        return EncryptedFile(path, self._keys.find(manifest.dataset, manifest.at_rest.key).secret)

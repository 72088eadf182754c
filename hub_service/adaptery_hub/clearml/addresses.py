"""Addresses of the files of a version, as ClearML's users reach them; checked before the SDK is.

What the uploaded files held is not among them: they hold what was left out of a version, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from adaptery.errors import ConflictError
from adaptery_hub.objects import FilesystemStore, ObjectInfo
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.s3_clients import S3Config, translated
from adaptery_hub.publishing.folders import ORIGINALS

NO_S3 = "not linked: the store is no S3"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"[A-Za-z0-9._/-]+")


@dataclass(frozen=True)
class Link:
    """One file of a version."""

    url: str
    path: str  # in the ClearML dataset; no two versions have the same
    bytes: int


def links_of(store: FilesystemStore | S3Store, prefix: str, version_id: str) -> list[Link]:
    """Return the links of a version, all of them seen in the store just now. Blocking.

    Raises:
        ConflictError: an address cannot be written down, or the store does not show every file.
        UnavailableError: the store does not answer.
    """
    files = [f for f in store.list(prefix) if not f.path.startswith(f"{ORIGINALS}/")]
    if not files:
        raise ConflictError("The store has no files of this version.")
    for file in files:
        if not _PATH.fullmatch(file.path) or ".." in file.path.split("/"):
            raise ConflictError("A file of this version has a name that is no address.")
    if isinstance(store, S3Store):
        _check_shown(store, prefix, files)
        base = s3_base(store.clients.config)
    else:
        base = _file_base(store.local_path(f"{prefix}/{files[0].path}"), files[0].path, prefix)
    return [Link(f"{base}/{prefix}/{f.path}", f"{version_id}/{f.path}", f.bytes) for f in files]


def s3_base(config: S3Config) -> str:
    """Return the address of a bucket in ClearML's words: with host and port if it is not AWS's.

    Raises:
        ConflictError: the bucket or its address cannot be one.
    """
    if not _BUCKET.fullmatch(config.bucket):
        raise ConflictError(
            "The bucket's name cannot be an address.", hint="Check the setting s3_bucket."
        )
    if config.endpoint_url is None:
        return f"s3://{config.bucket}"
    return f"s3://{s3_host(config.endpoint_url)}/{config.bucket}"


def s3_host(endpoint_url: str) -> str:
    """Return host and port of an endpoint.

    Raises:
        ConflictError: it is no address of a server.
    """
    parts = urlsplit(endpoint_url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    plain = not (parts.username or parts.password or parts.query or parts.path.strip("/"))
    if parts.scheme not in _DEFAULT_PORTS or not plain or not _HOST.fullmatch(host):
        raise ConflictError(
            "The address of the object store cannot be one of a link.",
            hint="Write s3_endpoint_url as https://host:port.",
        )
    return f"{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def _check_shown(store: S3Store, prefix: str, files: Sequence[ObjectInfo]) -> None:
    """See that a reader can list every file: the SDK needs that, and says little without."""
    config = store.clients.config
    shown: dict[str, int] = {}
    with translated(config, "reader"):
        pages = store.clients.of("reader").get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=config.bucket, Prefix=f"{prefix}/"):
            shown |= {entry["Key"]: entry["Size"] for entry in page.get("Contents", [])}
    if any(shown.get(f"{prefix}/{file.path}") != file.bytes for file in files):
        raise ConflictError(
            "The store does not list every file of this version.",
            hint="Its reader needs ListBucket.",
        )


def _file_base(found: Path, path: str, prefix: str) -> str:
    root = str(found).removesuffix(f"/{prefix}/{path}")
    if not _PATH.fullmatch(root):  # the SDK takes such an address as it is written
        raise ConflictError("The folder of the store has a name that is no address.")
    return f"file://{root}"

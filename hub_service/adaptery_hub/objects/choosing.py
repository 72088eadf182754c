"""Builds the object store that the settings name."""

from __future__ import annotations

from pathlib import Path

from adaptery_hub.database import Database
from adaptery_hub.objects import seaweedfs
from adaptery_hub.objects.credentials import StoreConfigurationError, read_credentials
from adaptery_hub.objects.file_cache import FileCache
from adaptery_hub.objects.filesystem import FilesystemStore
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.s3_clients import LockMode, S3Clients, S3Config
from adaptery_hub.settings import ServiceSettings

_LOCKS: dict[str, LockMode | None] = {
    "governance": "governance",
    "compliance": "compliance",
    "none": None,
}


def build_store(settings: ServiceSettings, database: Database) -> FilesystemStore | S3Store:
    """Return the store; nothing is asked of it yet.

    Raises:
        StoreConfigurationError: a setting is missing, or a credential cannot be read.
    """
    state = settings.state_path
    if settings.object_store == "filesystem":
        return FilesystemStore(state / "objects")
    config = _seaweedfs(settings) if settings.object_store == "seaweedfs" else _s3(settings)
    credentials = read_credentials(_credentials_path(settings))
    cache = FileCache(state / "cache" / "objects", settings.object_cache_bytes)
    return S3Store(S3Clients(config, credentials), database, cache)


def _seaweedfs(settings: ServiceSettings) -> S3Config:
    return S3Config(
        kind="seaweedfs",
        bucket=seaweedfs.BUCKET,
        endpoint_url=f"http://127.0.0.1:{settings.seaweedfs_port}",
        lock=_LOCKS[settings.object_lock],
        lock_days=settings.object_lock_days,
        publisher_arn=seaweedfs.PUBLISHER_ARN,
        manage_bucket=True,
        doors=seaweedfs.doors(settings.seaweedfs_port),
        ports=seaweedfs.own_ports(settings.state_path, settings.seaweedfs_port),
        sweeper=seaweedfs.sweeper(settings.state_path, settings.seaweedfs_port),
    )


def _s3(settings: ServiceSettings) -> S3Config:
    if not settings.s3_bucket:
        raise StoreConfigurationError(
            "The object store s3 has no bucket.", hint="Set s3_bucket, and s3_endpoint_url."
        )
    return S3Config(
        kind="s3",
        bucket=settings.s3_bucket,
        endpoint_url=settings.s3_endpoint_url or None,
        region=settings.s3_region,
        lock=_LOCKS[settings.object_lock],
        lock_days=settings.object_lock_days,
        publisher_arn=settings.s3_publisher_arn or None,
        manage_bucket=settings.s3_manage_bucket,
    )


def _credentials_path(settings: ServiceSettings) -> Path | None:
    if settings.object_store == "seaweedfs":
        return seaweedfs.credentials_path(settings.state_path)
    return Path(settings.s3_credentials_file) if settings.s3_credentials_file else None

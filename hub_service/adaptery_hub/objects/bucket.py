"""The bucket of an S3 store: making it, its policy, and what lies in it, version by version."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adaptery_hub.objects.s3_clients import S3Clients, S3Config, code_of, status_of, translated

#: What nobody but the admin does. In stores whose `Write` covers removing (SeaweedFS), only the
#: policy takes that from who publishes.
NOT_FOR_PUBLISHERS = (
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:BypassGovernanceRetention",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration",  # SeaweedFS's word for it
    "s3:PutBucketCORS",
    "s3:PutBucketCors",  # and for this
    "s3:DeleteBucket",
)


@dataclass(frozen=True)
class StoredVersion:
    """One version of an object, or the mark that it was deleted."""

    key: str
    version_id: str


def deny_policy(config: S3Config) -> dict[str, Any]:
    """Return the policy that keeps whoever publishes from removing anything."""
    arn = f"arn:aws:s3:::{config.bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AdapteryPublisherRemovesNothing",
                "Effect": "Deny",
                "Principal": {"AWS": [config.publisher_arn]},
                "Action": list(NOT_FOR_PUBLISHERS),
                "Resource": [arn, f"{arn}/*"],
            }
        ],
    }


class Bucket:
    """The one bucket. All methods block and raise what `translated` raises, unless they say so."""

    def __init__(self, clients: S3Clients) -> None:
        self._clients = clients
        self._config = clients.config
        self._ready = False
        self._lock = threading.Lock()

    def ensure(self) -> None:
        """Make the bucket with its lock and policy if it is ours to make; once in a process.

        Raises:
            StoreConfigurationError: it may not be made.
            UnavailableError: the store does not answer.
        """
        with self._lock:
            if self._ready or not self._config.manage_bucket:
                return
            with translated(self._config, "admin"):
                self._make()
            self._ready = True

    def versions(self, prefix: str) -> Iterator[StoredVersion]:
        """Yield every version of every object below a prefix, marks of deletion as well."""
        pages = self._clients.of("admin").get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._config.bucket, Prefix=f"{prefix}/"):
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                yield StoredVersion(entry["Key"], entry["VersionId"])

    def remove(self, found: StoredVersion) -> bool:
        """Remove one version, past a lock that the admin may pass; tell whether it is gone.

        Raises:
            botocore.exceptions.ClientError: it is not the lock that keeps it.
        """
        from botocore.exceptions import ClientError

        admin = self._clients.of("admin")
        named = {"Bucket": self._config.bucket, "Key": found.key, "VersionId": found.version_id}
        try:
            if self._config.lock == "governance":
                admin.delete_object(**named, BypassGovernanceRetention=True)
            else:
                admin.delete_object(**named)
        except ClientError as error:
            if status_of(error) == 403 and self.locked_until(found) is not None:
                return False
            if status_of(error) == 404:
                return True
            raise
        return True

    def locked_until(self, found: StoredVersion) -> datetime | None:
        """Return until when one version is locked; None if it is not, or cannot be told."""
        from botocore.exceptions import ClientError

        with suppress(ClientError):
            answer = self._clients.of("admin").get_object_retention(
                Bucket=self._config.bucket, Key=found.key, VersionId=found.version_id
            )
            return answer.get("Retention", {}).get("RetainUntilDate")
        return None

    def abort_upload(self, key: str, upload: str) -> None:
        """Give up a file that was being sent in parts; what fails is tried again by others."""
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):
            self._clients.of("admin").abort_multipart_upload(
                Bucket=self._config.bucket, Key=key, UploadId=upload
            )

    def abort_uploads(self, prefix: str) -> None:
        """Give up every file below a prefix that was being sent in parts."""
        admin = self._clients.of("admin")
        answer = admin.list_multipart_uploads(Bucket=self._config.bucket, Prefix=f"{prefix}/")
        for entry in answer.get("Uploads", []):
            self.abort_upload(entry["Key"], entry["UploadId"])

    def _make(self) -> None:
        from botocore.exceptions import ClientError

        admin, name = self._clients.of("admin"), self._config.bucket
        try:
            admin.head_bucket(Bucket=name)
        except ClientError as error:
            if status_of(error) != 404:
                raise
            self._create()
        if self._config.publisher_arn:
            admin.put_bucket_policy(Bucket=name, Policy=json.dumps(deny_policy(self._config)))

    def _create(self) -> None:
        from botocore.exceptions import ClientError

        place: dict[str, Any] = {}
        if self._config.endpoint_url is None and self._config.region != "us-east-1":
            place["CreateBucketConfiguration"] = {"LocationConstraint": self._config.region}
        try:
            self._clients.of("admin").create_bucket(
                Bucket=self._config.bucket,
                ObjectLockEnabledForBucket=self._config.lock is not None,
                **place,
            )
        except ClientError as error:
            if code_of(error) != "BucketAlreadyOwnedByYou":
                raise

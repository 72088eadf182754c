"""The self-test of an S3 store: it tries to break the policy, as each who could.

A probe is published, then everything that must not be possible is tried on it with the credentials
of reader, publisher and admin, with none, and with a forged one. What a store says about itself is
not asked: some accept every setting and enforce none of them.

Invariants:

- Nothing but the probe is touched: where an attempt would change the bucket, it sets what is set.
- Only a refusal counts. A store that does not answer was not tested (`UnavailableError`).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx

from adaptery.errors import NotFoundError, UnavailableError
from adaptery.schemas.stores import StoreCheck
from adaptery.times import now
from adaptery_hub.objects.bucket import Bucket
from adaptery_hub.objects.doors import knock
from adaptery_hub.objects.s3_clients import (
    S3Clients,
    S3Config,
    body,
    code_of,
    status_of,
    translated,
)

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

PROBES = "datasets/self-test"
CONTENT = b"published"
#: How long an object lock that nobody can lift keeps a probe, in seconds.
COMPLIANCE_SECONDS = 120
#: How long the short-lived address lives, in seconds.
ADDRESS_SECONDS = 1
_ADDRESS_TIMEOUT = 10.0

#: Not 400 and 404: there the store looked at what was asked for, and perhaps not at who asks.
_REFUSALS = frozenset({401, 403, 405, 409, 412, 501})

Attempt = Callable[..., Any]


@dataclass(frozen=True)
class _Probe:
    key: str
    version_id: str | None

    def named(self, bucket: str) -> dict[str, str]:
        """Return the words that name exactly this version."""
        found = {"Bucket": bucket, "Key": self.key}
        return {**found, "VersionId": self.version_id} if self.version_id else found


@dataclass(frozen=True)
class Findings:
    """What a run found."""

    checks: tuple[StoreCheck, ...]
    short_lived_access: bool  # addresses work, and end; forged ones do not work


class SelfTest:
    """One run."""

    def __init__(self, clients: S3Clients, bucket: Bucket) -> None:
        self._clients = clients
        self._bucket = bucket
        self._config = clients.config
        self._folder = f"{PROBES}/{secrets.token_hex(8)}"

    def run(self) -> Findings:
        """Return what was found; blocking, takes a few seconds.

        Raises:
            StoreConfigurationError: the store refuses what a role must be able to do.
            UnavailableError: the store does not answer.
        """
        with translated(self._config, "publisher"):
            probe = self._publish()
        try:
            return self._find(probe)
        finally:
            with suppress(UnavailableError), translated(self._config, "admin"):
                self._clean()

    def _find(self, probe: _Probe) -> Findings:
        address = self._address(self._clients.of("reader"), probe)
        lives_until = time.monotonic() + ADDRESS_SECONDS + 1  # the store's clock has whole seconds
        answers = _fetch(address) == 200
        checks = list(self._checks(probe))
        forged = _refused_address("forged address", self._address(self._clients.forged(), probe))
        time.sleep(max(0.0, lives_until - time.monotonic()))
        late = _refused_address("address after its time", address)
        return Findings((*checks, forged, late), answers and forged.held and late.held)

    def _checks(self, probe: _Probe) -> Iterator[StoreCheck]:
        found = "" if self._clients.separate else "publisher, reader and admin share one"
        yield StoreCheck(
            name="one credential for everything", held=self._clients.separate, found=found
        )
        for name, attempt in self._attempts(probe):
            yield self._refused(name, attempt)
        yield self._refused(
            "publisher: overwrite without a condition",
            lambda: self._clients.of("publisher").put_object(
                Bucket=self._config.bucket, Key=f"{self._folder}/b", Body=b"changed"
            ),
            needed=False,
        )
        yield from map(knock, self._config.doors)
        yield self._intact(probe)

    def _attempts(self, probe: _Probe) -> Iterator[tuple[str, Attempt]]:
        yield from self._of_reader(probe)
        yield from self._of_publisher(probe)
        yield from self._of_admin(probe)
        place = {"Bucket": self._config.bucket, "Key": probe.key}
        nobody = self._clients.nobody()
        yield "nobody: read", lambda: nobody.get_object(**place)
        yield "nobody: overwrite", lambda: nobody.put_object(**place, Body=b"changed")

    def _of_reader(self, probe: _Probe) -> Iterator[tuple[str, Attempt]]:
        reader, bucket = self._clients.of("reader"), self._config.bucket
        place, named = {"Bucket": bucket, "Key": probe.key}, probe.named(bucket)
        fresh = {"Bucket": bucket, "Key": f"{self._folder}/other"}
        source = {"Bucket": bucket, "Key": f"{self._folder}/b"}
        objects = {"Objects": [{"Key": probe.key}]}
        tags = {"TagSet": [{"Key": "changed", "Value": "yes"}]}
        yield "reader: put", lambda: reader.put_object(**fresh, Body=b"new")
        yield "reader: overwrite", lambda: reader.put_object(**place, Body=b"changed")
        yield "reader: delete", lambda: reader.delete_object(**place)
        yield "reader: delete version", lambda: reader.delete_object(**named)
        yield (
            "reader: delete many",
            lambda: _each(reader.delete_objects(Bucket=bucket, Delete=objects)),
        )
        yield "reader: multipart", lambda: reader.create_multipart_upload(**place)
        yield "reader: copy over", lambda: reader.copy_object(**place, CopySource=source)
        yield "reader: tag", lambda: reader.put_object_tagging(**place, Tagging=tags)
        yield (
            "reader: change lock",
            lambda: reader.put_object_retention(**named, Retention=_longer()),
        )
        yield "reader: change policy", lambda: self._set_policy(reader)
        yield "reader: change versioning", lambda: self._set_versioning(reader)
        yield "reader: address to put", lambda: self._put_by_address(reader, probe)

    def _of_publisher(self, probe: _Probe) -> Iterator[tuple[str, Attempt]]:
        publisher, bucket = self._clients.of("publisher"), self._config.bucket
        place, named = {"Bucket": bucket, "Key": probe.key}, probe.named(bucket)
        yield (
            "publisher: put what is there",
            lambda: publisher.put_object(**place, Body=b"changed", IfNoneMatch="*"),
        )
        yield "publisher: delete", lambda: publisher.delete_object(**place)
        yield "publisher: delete version", lambda: publisher.delete_object(**named)
        yield (
            "publisher: delete past the lock",
            lambda: publisher.delete_object(**named, BypassGovernanceRetention=True),
        )
        yield "publisher: change policy", lambda: self._set_policy(publisher)
        yield (
            "publisher: let objects expire",
            lambda: self._set_and_unset(
                publisher.put_bucket_lifecycle_configuration,
                self._clients.of("admin").delete_bucket_lifecycle,
                LifecycleConfiguration=_expiring(f"{self._folder}/nothing/"),
            ),
        )
        yield (
            "publisher: let other sites read",
            lambda: self._set_and_unset(
                publisher.put_bucket_cors,
                self._clients.of("admin").delete_bucket_cors,
                CORSConfiguration={
                    "CORSRules": [
                        {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://self-test.invalid"]}
                    ]
                },
            ),
        )

    def _of_admin(self, probe: _Probe) -> Iterator[tuple[str, Attempt]]:
        admin, named = self._clients.of("admin"), probe.named(self._config.bucket)
        yield "admin: delete what is locked", lambda: admin.delete_object(**named)
        shorter = {"Mode": self._mode, "RetainUntilDate": now() + timedelta(seconds=10)}
        yield (
            "admin: shorten the lock",
            lambda: admin.put_object_retention(**named, Retention=shorter),
        )
        if self._config.lock == "compliance":
            yield (
                "admin: delete past the lock",
                lambda: admin.delete_object(**named, BypassGovernanceRetention=True),
            )

    @property
    def _mode(self) -> str:
        return (self._config.lock or "governance").upper()

    def _publish(self) -> _Probe:
        lock: dict[str, Any] = {}
        if self._config.lock is not None:
            seconds = COMPLIANCE_SECONDS if self._config.lock == "compliance" else 86_400
            until = now() + timedelta(seconds=seconds)
            lock = {"ObjectLockMode": self._mode, "ObjectLockRetainUntilDate": until}
        publisher = self._clients.of("publisher")
        key = f"{self._folder}/a"
        places = {name: {"Bucket": self._config.bucket, "Key": f"{self._folder}/{name}"}
                  for name in ("a", "b")}  # fmt: skip
        answer = publisher.put_object(**places["a"], **lock, **body(CONTENT), IfNoneMatch="*")
        publisher.put_object(**places["b"], Body=b"another", IfNoneMatch="*")
        return _Probe(key, answer.get("VersionId"))

    def _refused(self, name: str, attempt: Attempt, *, needed: bool = True) -> StoreCheck:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            attempt()
        except ClientError as error:
            return _judge(name, error, self._config, needed)
        except BotoCoreError as error:
            raise UnavailableError(
                f"The object store did not answer the self-test: {type(error).__name__}."
            ) from None
        return StoreCheck(name=name, held=False, needed=needed, found="the store let it happen")

    def _intact(self, probe: _Probe) -> StoreCheck:
        reader, named = self._clients.of("reader"), probe.named(self._config.bucket)
        content = b""
        with suppress(NotFoundError), translated(self._config, "reader"):
            content = reader.get_object(**named)["Body"].read(len(CONTENT) + 1)
        held = content == CONTENT and probe.version_id is not None
        found = "" if held else "it is another, it is gone, or the store keeps no versions"
        return StoreCheck(
            name="change the published version by any of these", held=held, found=found
        )

    def _address(self, client: Any, probe: _Probe) -> str:
        params = probe.named(self._config.bucket)
        return client.generate_presigned_url("get_object", Params=params, ExpiresIn=ADDRESS_SECONDS)

    def _set_policy(self, client: Any) -> None:
        """Set the policy that is set already; where none is, one that changes little, for now."""
        bucket = self._config.bucket
        admin = self._clients.of("admin")
        policy = self._policy()
        client.put_bucket_policy(Bucket=bucket, Policy=policy or json.dumps(_harmless(bucket)))
        if policy is None:
            admin.delete_bucket_policy(Bucket=bucket)

    def _policy(self) -> str | None:
        from botocore.exceptions import ClientError

        with translated(self._config, "admin"):
            try:
                answer = self._clients.of("admin").get_bucket_policy(Bucket=self._config.bucket)
            except ClientError as error:
                if status_of(error) == 404:
                    return None
                raise
        return answer["Policy"]

    def _set_and_unset(self, put: Attempt, delete: Attempt, **what: Any) -> None:
        put(Bucket=self._config.bucket, **what)
        delete(Bucket=self._config.bucket)

    def _set_versioning(self, client: Any) -> None:
        client.put_bucket_versioning(
            Bucket=self._config.bucket, VersioningConfiguration={"Status": "Enabled"}
        )

    def _put_by_address(self, client: Any, probe: _Probe) -> None:
        from botocore.exceptions import ClientError

        place = {"Bucket": self._config.bucket, "Key": probe.key}
        address = client.generate_presigned_url("put_object", Params=place, ExpiresIn=60)
        status = httpx.put(address, content=b"changed", timeout=_ADDRESS_TIMEOUT).status_code
        if status >= 400:
            answer: Any = {"ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, "PutObject")

    def _clean(self) -> None:
        """Remove this probe and what earlier runs had to leave."""
        self._bucket.abort_uploads(PROBES)
        for found in self._bucket.versions(PROBES):
            self._bucket.remove(found)


def _judge(name: str, error: ClientError, config: S3Config, needed: bool) -> StoreCheck:
    status = status_of(error)
    if status in (502, 503, 504):  # it is too busy to be tested
        with translated(config, "reader"):
            raise error
    held = status in _REFUSALS
    found = "" if held else f"the store answered {status} {code_of(error)}".rstrip()
    return StoreCheck(name=name, held=held, needed=needed, found=found)


def _refused_address(name: str, address: str) -> StoreCheck:
    status = _fetch(address)
    held = status in (400, 401, 403)  # not 404: it looked for the object, and not at the address
    found = "" if held else f"the store answered {status}"
    return StoreCheck(name=name, held=held, found=found)


def _each(answer: dict[str, Any]) -> None:
    """Raise what `delete_objects` says of its objects: the whole is answered 200."""
    from botocore.exceptions import ClientError

    if answer.get("Errors"):
        refused: Any = {"ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(refused, "DeleteObjects")


def _harmless(bucket: str) -> dict[str, Any]:
    nobody = {"AWS": ["arn:aws:iam::000000000000:user/adaptery-self-test"]}
    statement = {
        "Effect": "Deny",
        "Principal": nobody,
        "Action": ["s3:DeleteBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _expiring(prefix: str) -> dict[str, Any]:
    rule = {
        "ID": "adaptery-self-test",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": 3650},
    }
    return {"Rules": [rule]}


def _longer() -> dict[str, Any]:
    return {"Mode": "GOVERNANCE", "RetainUntilDate": now() + timedelta(days=2)}


def _fetch(address: str) -> int:
    try:
        return httpx.get(address, timeout=_ADDRESS_TIMEOUT).status_code
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"The object store did not answer the self-test: {type(error).__name__}."
        ) from None

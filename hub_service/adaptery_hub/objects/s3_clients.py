"""Clients of an S3 store, one for each role, and its errors in our words.

boto3 is loaded when the first client is made: most deployments need none.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from adaptery.errors import AdapteryError, ConflictError, NotFoundError, UnavailableError
from adaptery.schemas.stores import StoreKind
from adaptery_hub.objects.credentials import Credential, Role, StoreConfigurationError
from adaptery_hub.objects.doors import Door
from adaptery_hub.objects.listeners import OwnPorts
from adaptery_hub.objects.sweeping import Sweeper

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CONNECT_SECONDS = 5
READ_SECONDS = 60
#: Attempts at one call, with a back-off that doubles; boto3's "standard" mode.
ATTEMPTS = 4
#: Connections of one role: every thread that may be reading.
CONNECTIONS = 32

_GONE = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NoSuchUpload"})
_REFUSED = frozenset(
    {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
)
_THERE = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict"})
LockMode = Literal["governance", "compliance"]


@dataclass(frozen=True)
class S3Config:
    """Which store, and what is asked of it."""

    kind: StoreKind
    bucket: str
    endpoint_url: str | None = None  # None: AWS
    region: str = "us-east-1"
    lock: LockMode | None = "governance"
    lock_days: int = 3650
    #: Who publishes, in the store's words: its policy lets nobody of that name remove anything.
    publisher_arn: str | None = None
    #: Whether the bucket is ours to make and to put a policy on.
    manage_bucket: bool = False
    #: What must be shut besides S3.
    doors: tuple[Door, ...] = ()
    #: Raises before each request if what listens there is not the store.
    ports: OwnPorts | None = None
    #: Makes the store give up the bytes of what was removed.
    sweeper: Sweeper | None = None


class S3Clients:
    """The clients of one store. Threads may share them."""

    def __init__(self, config: S3Config, credentials: Mapping[Role, Credential]) -> None:
        self.config = config
        self._credentials = credentials
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def of(self, role: Role) -> Any:
        """Return the client of a role."""
        with self._lock:
            if role not in self._made:
                self._made[role] = self._make(self._credentials[role])
            return self._made[role]

    def credential(self, role: Role) -> Credential:
        """Return the credential of a role, for a process of ours that needs it."""
        return self._credentials[role]

    def forged(self) -> Any:
        """Return a client that knows a reader's name and not its secret."""
        reader = self._credentials["reader"]
        return self._make(Credential(reader.key_id, "0" * 40, reader.session_token))

    def nobody(self) -> Any:
        """Return a client without a credential."""
        from botocore import UNSIGNED

        return self._make(self._credentials["reader"], signature_version=UNSIGNED)

    @property
    def separate(self) -> bool:
        """Whether no two roles have the same credential."""
        return len({held.key_id for held in self._credentials.values()}) == len(self._credentials)

    def _make(self, held: Credential, **more: Any) -> Any:
        import boto3
        from botocore.config import Config

        options: dict[str, Any] = {
            "signature_version": "s3v4",
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
            "max_pool_connections": CONNECTIONS,
            # What is sent is hashed into the signature, over TLS as well: the store refuses what
            # was damaged on the way. Checksums in trailers are not understood everywhere.
            "s3": {"addressing_style": self._style, "payload_signing_enabled": True},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            **more,
        }
        # A session of its own: nothing comes from the account's own AWS configuration.
        session = boto3.Session(
            aws_access_key_id=held.key_id,
            aws_secret_access_key=held.secret,
            aws_session_token=held.session_token,
            region_name=self.config.region,
        )
        client = session.client(
            "s3", endpoint_url=self.config.endpoint_url, config=Config(**options)
        )
        if self.config.ports is not None:
            client.meta.events.register("before-send.s3", self.config.ports.check)
        return client

    @property
    def _style(self) -> str:
        # Names of buckets in host names are AWS's way; other stores need not have such names.
        return "path" if self.config.endpoint_url else "auto"


@contextmanager
def translated(config: S3Config, role: Role) -> Iterator[None]:
    """Raise the store's errors as ours.

    Raises:
        NotFoundError: there is no such object.
        ConflictError: there is one already.
        StoreConfigurationError: the store refuses what this role must be able to do.
        UnavailableError: the store does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _translate(error, config, role) from None
    except BotoCoreError as error:
        raise _silent(config, type(error).__name__) from None


def body(data: bytes) -> dict[str, Any]:
    """Return what is sent with its SHA-256: the store refuses bytes that are others.

    A store that locks objects takes none without.
    """
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"Body": data, "ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest}


def code_of(error: ClientError) -> str:
    """Return the store's own word for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _translate(error: ClientError, config: S3Config, role: Role) -> AdapteryError:
    code, status = code_of(error), status_of(error)
    if code in _GONE or (status == 404 and code != "NoSuchBucket"):
        return NotFoundError("There is no such file in the store.")
    if code in _THERE or status == 412:
        return ConflictError("This content is stored already.")
    if code in _REFUSED or status == 403:
        return StoreConfigurationError(
            f"The object store ({config.kind}) refused its {role}: {_word(code)}.",
            hint=f"An administrator has to check the {role}'s credential and what it may do.",
        )
    if code == "NoSuchBucket":
        return StoreConfigurationError(
            f"The object store ({config.kind}) has no bucket of the name that is set.",
            hint="An administrator has to make it, with versions and object lock.",
        )
    return _silent(config, _word(code))


def _silent(config: S3Config, why: str) -> UnavailableError:
    return UnavailableError(
        f"The object store ({config.kind}) does not answer as it should: {why}.",
        hint="Try again in a minute. If it goes on, an administrator has to look at the store.",
    )


def _word(code: str) -> str:
    """Return an error's code if it is a plain word: what a foreign server says is not believed."""
    return code if code.isalnum() and len(code) <= 60 else "an unknown error"

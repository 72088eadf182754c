"""What the network of one deployment is made of: its keys, and the users it lets in.

For: making the keys once, keeping them in files, and minting JWTs from them. Not for running the
broker (`config`) or for talking to it (`accounts`).

What always holds:
- Keys are made once, under a lock, and never replaced; two processes that start together get the
  same.
- Every file has mode 0600 and the folder 0700; no key is shown by `repr`.
- A revoked user stays revoked: revocations are on disk before anyone is told.

    operator.nk  system.nk  account.nk         nkey seeds of the broker's operator and accounts
    service-user.nk  system-user.nk            nkey seeds of the two users that this host has
    service-signing.key                        Ed25519 seed: signs cards, grants, manifests
    service-sealing.key                        X25519: newcomers seal their join request to it
    session-master.key                         32 bytes: session keys are derived from it owner
    the id of the owner of agents revocations.json                           revoked users of the
    account, with the second it happened
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, cast

from adaptery import times
from adaptery.errors import IntegrityError
from adaptery.files import write_atomic
from adaptery.ids import is_id, new_id
from adaptery.sealed import SealingKey
from adaptery.signing import SigningKey
from adaptery_network.broker import jwts, permissions
from adaptery_network.broker.jwts import KeyKind
from adaptery_network.transport import Credentials

__all__ = ["NetworkIdentity"]

_FOLDER: Final = "network"
_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class NetworkIdentity:
    """The keys of one deployment."""

    folder: Path
    owner: str
    signing_key: SigningKey = field(repr=False)
    sealing_key: SealingKey = field(repr=False)
    session_master: bytes = field(repr=False)
    _operator: str = field(repr=False)
    _system: str = field(repr=False)
    _account: str = field(repr=False)
    _service_user: str = field(repr=False)
    _system_user: str = field(repr=False)

    @classmethod
    def load_or_create(cls, state_dir: Path) -> NetworkIdentity:
        """Return the identity kept under `state_dir`, made on first use.

        Raises:
            IntegrityError: if a file does not hold what it should.
            OSError: if the folder cannot be read or written.
        """
        folder = state_dir / _FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        with _locked(folder):
            files = _KeyFiles(folder)
            return cls(
                folder=folder,
                owner=files.owner(),
                signing_key=SigningKey.from_seed(files.random("service-signing.key")),
                sealing_key=SealingKey.from_bytes(files.random("service-sealing.key")),
                session_master=files.random("session-master.key"),
                _operator=files.nkey("operator.nk", KeyKind.OPERATOR),
                _system=files.nkey("system.nk", KeyKind.ACCOUNT),
                _account=files.nkey("account.nk", KeyKind.ACCOUNT),
                _service_user=files.nkey("service-user.nk", KeyKind.USER),
                _system_user=files.nkey("system-user.nk", KeyKind.USER),
            )

    @property
    def operator_key(self) -> str:
        """The operator's public key."""
        return jwts.public_key(self._operator)

    @property
    def account_key(self) -> str:
        """The public key of the account that the agents and the service share."""
        return jwts.public_key(self._account)

    @property
    def system_account_key(self) -> str:
        """The public key of the account that manages accounts."""
        return jwts.public_key(self._system)

    def operator_jwt(self) -> str:
        """Return the JWT that the broker's config trusts."""
        return jwts.operator_jwt(self._operator, self.system_account_key, times.now())

    def system_account_jwt(self) -> str:
        """Return the JWT of the system account."""
        return jwts.account_jwt(self._operator, self.system_account_key, "SYS", times.now())

    def account_jwt(self) -> str:
        """Return the JWT of the owner's account, with the revocations so far."""
        return jwts.account_jwt(
            self._operator, self.account_key, self.owner, times.now(), self.revocations()
        )

    def service_credentials(self) -> Credentials:
        """Return the credentials of the service; its inbox is `subjects.SERVICE_INBOX`."""
        return self._user(self._account, self._service_user, permissions.service(self.owner))

    def system_credentials(self) -> Credentials:
        """Return the credentials that may replace account JWTs; they never leave this host."""
        return self._user(self._system, self._system_user, permissions.system())

    def agent_jwt(self, agent: str, user_key: str) -> str:
        """Return the JWT of an agent whose nkey is its own; only the public half comes here."""
        allowed = permissions.agent(self.owner, agent)
        return jwts.user_jwt(self._account, user_key, agent, allowed, times.now())

    def join_credentials(self, token_id: str, expires_at: datetime) -> Credentials:
        """Return the credentials that go into a join token."""
        seed = jwts.new_seed(KeyKind.USER)
        allowed = permissions.join_only(self.owner, token_id)
        user = jwts.public_key(seed)
        jwt = jwts.user_jwt(self._account, user, token_id, allowed, times.now(), expires_at)
        return Credentials(jwt, seed)

    def revocations(self) -> dict[str, int]:
        """Return the revoked users and the second of their revocation."""
        path = self.folder / "revocations.json"
        if not path.exists():
            return {}
        return cast("dict[str, int]", json.loads(path.read_text()))

    def revoke(self, user_key: str) -> None:
        """Write down that a user is revoked; `accounts.revoke_user` also tells the broker."""
        with _locked(self.folder):
            revoked = {**self.revocations(), user_key: int(times.now().timestamp())}
            write_atomic(self.folder / "revocations.json", json.dumps(revoked).encode(), 0o600)

    def _user(
        self, account_seed: str, user_seed: str, allowed: jwts.UserPermissions
    ) -> Credentials:
        user = jwts.public_key(user_seed)
        return Credentials(
            jwts.user_jwt(account_seed, user, "adaptery", allowed, times.now()), user_seed
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _KeyFiles:
    """Reads each file, or makes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def owner(self) -> str:
        owner = self._read_or_make("owner", lambda: new_id("ow").encode()).decode()
        if not is_id(owner, "ow"):
            raise IntegrityError(f"{self._folder / 'owner'} does not hold an owner id.")
        return owner

    def random(self, name: str) -> bytes:
        raw = self._read_or_make(name, lambda: secrets.token_bytes(_KEY_BYTES))
        if len(raw) != _KEY_BYTES:
            raise IntegrityError(f"{self._folder / name} does not hold {_KEY_BYTES} bytes.")
        return raw

    def nkey(self, name: str, kind: KeyKind) -> str:
        seed = self._read_or_make(name, lambda: jwts.new_seed(kind).encode()).decode()
        if not jwts.is_seed(seed, kind):
            raise IntegrityError(f"{self._folder / name} does not hold a seed of its kind.")
        return seed

    def _read_or_make(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = self._folder / name
        if not path.exists():
            write_atomic(path, make(), 0o600)
        return path.read_bytes()

"""The broker's own identities: nkeys, and the JWTs of operator, accounts and users.

For: making and checking these JWTs. Not for what users may do (`permissions`) or where keys lie
(`identity`). Trust in agents does not rest on any of this: that is what cards and grants are for.

What always holds:
- A JWT is signed by the key that `iss` names, and `verify` believes it only under the issuer it is
  given.
- A user JWT has non-empty allow lists: to the broker an empty list means "everything".

Source: NATS ADR-14 (JWT library-free creation); github.com/nats-io/jwt v2, claims.go and
user_claims.go.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final, cast

import nkeys

from adaptery import base64url
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.signing import VerifyKey

__all__ = [
    "KeyKind",
    "UserPermissions",
    "account_jwt",
    "is_public_key",
    "is_seed",
    "new_seed",
    "operator_jwt",
    "public_key",
    "read_claims",
    "user_jwt",
    "verify",
]

RESPONSE_LIMIT: Final = 100_000  # frames that an agent may send to one reply subject
RESPONSE_SECONDS: Final = 3600  # and for how long
CONNECTION_LIMIT: Final = 4096  # of one account

_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_CLAIMS_VERSION: Final = 2
_NANOSECONDS: Final = 1_000_000_000
_UNLIMITED: Final = -1  # the broker's own spelling
_KEY_BYTES: Final = 32
_CHECKSUM_BYTES: Final = 2


class KeyKind(IntEnum):
    """What an nkey stands for; the number is its prefix byte."""

    OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
    ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
    USER = nkeys.PREFIX_BYTE_USER


@dataclass(frozen=True)
class UserPermissions:
    """What a user of the broker may do."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    #: whether it may answer on the reply subject of a message that it received
    responses: bool = False

    def __post_init__(self) -> None:
        if not self.publish or not self.subscribe:
            raise ValueError("an empty allow list would allow everything")

    def to_claims(self) -> dict[str, object]:
        """Return the fields of a user JWT."""
        claims: dict[str, object] = {
            "pub": {"allow": sorted(self.publish)},
            "sub": {"allow": sorted(self.subscribe)},
        }
        if self.responses:
            claims["resp"] = {"max": RESPONSE_LIMIT, "ttl": RESPONSE_SECONDS * _NANOSECONDS}
        return claims


def new_seed(kind: KeyKind) -> str:
    """Return the secret seed of a new nkey."""
    return nkeys.encode_seed(secrets.token_bytes(_KEY_BYTES), int(kind)).decode()


def is_seed(seed: str, kind: KeyKind) -> bool:
    """Tell whether the text is the seed of an nkey of this kind."""
    try:
        prefix, raw = nkeys.decode_seed(seed.encode())
    except (nkeys.NkeysError, ValueError):
        return False
    return prefix == int(kind) and len(raw) == _KEY_BYTES


def is_public_key(text: str, kind: KeyKind) -> bool:
    """Tell whether the text is the public half of an nkey of this kind."""
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        return False
    checksum = nkeys.crc16_checksum(bytearray(raw[:-_CHECKSUM_BYTES]))
    return (
        len(raw) == 1 + _KEY_BYTES + _CHECKSUM_BYTES
        and raw[0] == int(kind)
        and raw[-_CHECKSUM_BYTES:] == bytes(checksum)
    )


def public_key(seed: str) -> str:
    """Return the public key of a seed, which is also the name of what it stands for."""
    return bytes(nkeys.from_seed(bytearray(seed.encode())).public_key).decode()


def operator_jwt(operator_seed: str, system_account: str, now: datetime) -> str:
    """Return the self-signed JWT that the broker's config trusts."""
    key = public_key(operator_seed)
    claims: dict[str, object] = {"type": "operator", "system_account": system_account}
    return _sign(operator_seed, key, "adaptery", claims, now)


def account_jwt(
    operator_seed: str,
    account: str,
    name: str,
    now: datetime,
    revocations: Mapping[str, int] | None = None,
) -> str:
    """Return the JWT of an account.

    Args:
        operator_seed: signs it.
        account: the account's public key.
        name: shown in the broker's log.
        now: when it is made.
        revocations: users whose JWTs made at or before that second are dead.
    """
    claims: dict[str, object] = {
        "type": "account",
        "limits": {
            "subs": _UNLIMITED,
            "data": _UNLIMITED,
            "payload": _UNLIMITED,
            "imports": _UNLIMITED,
            "exports": _UNLIMITED,
            "wildcards": True,
            "conn": CONNECTION_LIMIT,
            "leaf": 0,  # leaf nodes are opened when the overlay grows past one broker
        },
        "revocations": dict(revocations or {}),
    }
    return _sign(operator_seed, account, name, claims, now)


def user_jwt(
    account_seed: str,
    user: str,
    name: str,
    permissions: UserPermissions,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Return the JWT of a user.

    Args:
        account_seed: signs it.
        user: the user's public key.
        name: shown in the broker's log.
        permissions: what it may do.
        now: when it is made.
        expires_at: when the broker stops accepting it, closing its connections.
    """
    claims: dict[str, object] = {
        "type": "user",
        **permissions.to_claims(),
        "subs": _UNLIMITED,
        "data": _UNLIMITED,
        "payload": _UNLIMITED,
    }
    return _sign(account_seed, user, name, claims, now, expires_at)


def read_claims(jwt: str) -> dict[str, object]:
    """Return the claims of a JWT, unverified.

    Raises:
        IntegrityError: if it is not a JWT.
    """
    try:
        _, body, _ = jwt.split(".")
        claims: object = json.loads(base64url.decode(body))
    except ValueError:
        raise IntegrityError("This is not a JWT of the broker.") from None
    if not isinstance(claims, dict):
        raise IntegrityError("This is not a JWT of the broker.")
    return cast("dict[str, object]", claims)


def verify(jwt: str, issuer: str) -> dict[str, object]:
    """Return the claims of a JWT that `issuer` (a public nkey) signed.

    Raises:
        IntegrityError: if it did not.
    """
    claims = read_claims(jwt)
    signed, _, signature = jwt.rpartition(".")
    if claims.get("iss") != issuer:
        raise IntegrityError("The broker's JWT names another issuer.")
    try:
        _verify_key(issuer).verify(base64url.decode(signature), signed.encode())
    except (ValueError, InvalidInputError):
        raise IntegrityError("The broker's JWT has no readable signature.") from None
    return claims


def _verify_key(public: str) -> VerifyKey:
    raw = base64.b32decode(public + "=" * (-len(public) % 8))
    return VerifyKey.from_bytes(raw[1:-_CHECKSUM_BYTES])


def _sign(
    seed: str,
    subject: str,
    name: str,
    claims: Mapping[str, object],
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    document: dict[str, object] = {
        "iat": int(now.timestamp()),
        "iss": public_key(seed),
        "name": name,
        "sub": subject,
        "nats": {**claims, "version": _CLAIMS_VERSION},
    }
    if expires_at is not None:
        document["exp"] = int(expires_at.timestamp())
    digest = hashlib.sha256(_compact(document)).digest()
    document["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    signed = f"{base64url.encode(_compact(_HEADER))}.{base64url.encode(_compact(document))}"
    signature = nkeys.from_seed(bytearray(seed.encode())).sign(signed.encode())
    return f"{signed}.{base64url.encode(bytes(signature))}"


def _compact(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

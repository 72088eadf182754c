"""Three credentials of an S3 store: who publishes, who reads, who may remove.

They come from a file of AWS profiles named `publisher`, `reader` and `admin` that only the
service's account may read, or from the environment; never from options or the command line.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from adaptery.errors import UnavailableError
from adaptery_hub.secret_files import read_sections

Role = Literal["publisher", "reader", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
#: Names of profiles are those of the roles, names of options those of AWS.
_KEY_ID, _SECRET, _TOKEN = "aws_access_key_id", "aws_secret_access_key", "aws_session_token"


class StoreConfigurationError(UnavailableError):
    """The object store is not set up as it must be."""


@dataclass(frozen=True)
class Credential:
    """A key of the store."""

    key_id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def read_credentials(
    path: Path | None, environment: Mapping[str, str] = os.environ
) -> Mapping[Role, Credential]:
    """Return the credentials of the roles.

    Args:
        path: a file of AWS profiles; None: `ADAPTERY_S3_<ROLE>_KEY_ID` and `..._SECRET` of the
            environment.
        environment: variables.

    Raises:
        StoreConfigurationError: one is missing, or others may read the file.
    """
    found: dict[Role, Credential | None]
    if path is None:
        found = {role: _from_environment(role, environment) for role in ROLES}
    else:
        found = _from_file(path)
    held: dict[Role, Credential] = {
        role: credential for role, credential in found.items() if credential is not None
    }
    if missing := [role for role in ROLES if role not in held]:
        raise StoreConfigurationError(
            f"The object store has no credential for: {', '.join(missing)}.",
            hint="Set s3_credentials_file to a file with the profiles publisher, reader and admin.",
        )
    return held


def write_credentials(credentials: Mapping[Role, Credential]) -> bytes:
    """Return the content of a file that `read_credentials` reads."""
    lines: list[str] = []
    for role, credential in credentials.items():
        lines += [
            f"[{role}]",
            f"{_KEY_ID} = {credential.key_id}",
            f"{_SECRET} = {credential.secret}",
        ]
    return ("\n".join(lines) + "\n").encode()


def _from_environment(role: Role, environment: Mapping[str, str]) -> Credential | None:
    prefix = f"ADAPTERY_S3_{role.upper()}_"
    key_id, secret = environment.get(f"{prefix}KEY_ID"), environment.get(f"{prefix}SECRET")
    if not key_id or not secret:
        return None
    return Credential(key_id, secret, environment.get(f"{prefix}SESSION_TOKEN") or None)


def _from_file(path: Path) -> dict[Role, Credential | None]:
    parser = read_sections(
        path,
        holds="the credentials of the object store",
        setting="s3_credentials_file",
        form="AWS profiles: [publisher], aws_access_key_id = ... and so on",
        error=StoreConfigurationError,
    )
    return {role: _from_section(parser, role) for role in ROLES}


def _from_section(parser: configparser.RawConfigParser, role: Role) -> Credential | None:
    if not parser.has_section(role):
        return None
    key_id = parser.get(role, _KEY_ID, fallback="")
    secret = parser.get(role, _SECRET, fallback="")
    if not key_id or not secret:
        return None
    return Credential(key_id, secret, parser.get(role, _TOKEN, fallback="") or None)

"""The key of the account by which the service speaks with ClearML.

It comes from a file that only the service's account may read, or from the environment; never from
options or the command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adaptery.errors import UnavailableError
from adaptery_hub.secret_files import read_sections

SECTION = "clearml"
ACCESS_KEY_VARIABLE = "ADAPTERY_CLEARML_ACCESS_KEY"
SECRET_KEY_VARIABLE = "ADAPTERY_CLEARML_SECRET_KEY"  # noqa: S105 - a name


class ClearmlConfigurationError(UnavailableError):
    """ClearML is not set up as it must be."""


@dataclass(frozen=True)
class ClearmlKey:
    """A key of ClearML's API."""

    access_key: str
    secret_key: str = field(repr=False)


def read_key(path: Path | None, environment: Mapping[str, str] = os.environ) -> ClearmlKey:
    """Return the key.

    Args:
        path: a file with the section `[clearml]`; None: the two variables of the environment.
        environment: variables.

    Raises:
        ClearmlConfigurationError: there is none, or others may read the file.
    """
    if path is None:
        access = environment.get(ACCESS_KEY_VARIABLE, "")
        secret = environment.get(SECRET_KEY_VARIABLE, "")
    else:
        access, secret = _from_file(path)
    if not access or not secret:
        raise ClearmlConfigurationError(
            "There is no key for ClearML.",
            hint="Set clearml_credentials_file to a file with [clearml], access_key and "
            "secret_key.",
        )
    return ClearmlKey(access, secret)


def _from_file(path: Path) -> tuple[str, str]:
    parser = read_sections(
        path,
        holds="the key for ClearML",
        setting="clearml_credentials_file",
        form="[clearml], access_key = ... and secret_key = ...",
        error=ClearmlConfigurationError,
    )
    return (
        parser.get(SECTION, "access_key", fallback=""),
        parser.get(SECTION, "secret_key", fallback=""),
    )

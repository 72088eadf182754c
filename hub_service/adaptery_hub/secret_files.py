"""Files with secrets that an administrator writes: sections of `name = value`.

Invariant: what others than the service's account may read is not taken, nor shown in an error.
"""

from __future__ import annotations

import configparser
import stat
from pathlib import Path

from adaptery.errors import UnavailableError


def read_sections(
    path: Path, *, holds: str, setting: str, form: str, error: type[UnavailableError]
) -> configparser.RawConfigParser:
    """Return the sections of a file.

    Args:
        path: the file.
        holds: what it holds, as an error says it: `the key for ClearML`.
        setting: the option that names it.
        form: what to write in it.
        error: what to raise.

    Raises:
        UnavailableError: an `error`: it cannot be read or understood, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise error(
            f"The file with {holds} cannot be read: {problem.strerror}.", hint=f"Check {setting}."
        ) from None
    except UnicodeDecodeError:
        raise error(f"The file with {holds} is not text.", hint=f"Write {form}.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise error(
            f"Others may read the file with {holds}.",
            hint=f"chmod 600 the file that {setting} names.",
        )
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        raise error(f"The file with {holds} cannot be understood.", hint=f"Write {form}.") from None
    return parser

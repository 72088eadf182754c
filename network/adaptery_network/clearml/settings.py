"""What the operator of a machine of ClearML's workers says, in one file.

It is the file that the service wrote, with the base models of the machine added. Its path stands in
ADAPTERY_CLEARML_WORKER, which the operator sets for `clearml-agent`; nothing of it is ever taken
from a task.

Invariants:
- nobody else may read the file: it holds the key of workers;
- an unknown option stops the start, with its name.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from adaptery.errors import InvalidInputError
from adaptery.schemas.common import Model, parse_json

VARIABLE = "ADAPTERY_CLEARML_WORKER"


class WorkerSettings(Model):
    """One machine."""

    service_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    service_key: Annotated[str, Field(pattern=r"^ed25519:")]
    worker_key: Annotated[str, Field(min_length=1, repr=False)]
    #: The folders of converted base models, by name.
    base_models: dict[str, str] = {}
    #: Where jobs are trained; nothing of a job stays there.
    work_folder: str = tempfile.gettempdir()
    threads: Annotated[int, Field(ge=1)] = 1


def read_settings(environment: Mapping[str, str]) -> WorkerSettings:
    """Return the settings of this machine.

    Raises:
        InvalidInputError: there are none, or others may read them.
    """
    path = environment.get(VARIABLE)
    if not path:
        raise InvalidInputError(f"{VARIABLE} does not say where this machine's settings are.")
    try:
        mode = Path(path).stat().st_mode
        text = Path(path).read_bytes()
    except OSError:
        raise InvalidInputError(f"The file that {VARIABLE} names cannot be read.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidInputError(
            f"Others may read the file that {VARIABLE} names.", hint="chmod 600 it."
        )
    return parse_json(WorkerSettings, text)

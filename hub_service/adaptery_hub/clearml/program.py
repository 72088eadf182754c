"""Runs `register.py` as a child process: what it may know, how long it may take, what it said.

Invariants:

- The child gets an environment of ours, not the service's: no variable of ClearML, AWS or the Hub.
- Keys are in one file of mode 0600, in a folder that is removed with the child.
- After the deadline the child and whatever it started are killed; the service never waits longer.
- What it says is read up to a limit and believed only in the shape that it must have.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from adaptery.files import write_atomic

PROGRAM = Path(__file__).with_name("register.py")
#: What a child may say; more is not ours.
SAID_BYTES = 64 * 1024
#: Of the service's environment: where programs and certificates are, and the way out of the house.
_INHERITED = (
    *("PATH", "LANG", "LC_ALL", "TZ"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
_ID = re.compile(r"[0-9a-zA-Z_-]{1,64}")
_REASON = re.compile(r"[ -~]{1,300}")
FailureKind = Literal["away", "refused", "store", "missing"]
_KINDS: dict[str, FailureKind] = {
    "away": "away",
    "refused": "refused",
    "store": "store",
    "missing": "missing",
}


@dataclass(frozen=True)
class Round:
    """What came of one round about jobs: ids of ClearML's tasks, and their states."""

    placed: Mapping[str, str]  # by our ids
    refused: Mapping[str, str]  # why, by our ids
    ended: frozenset[str]
    states: Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """It worked."""

    dataset: str | None  # None: of a dataset that ClearML has no more
    round: Round | None = None


@dataclass(frozen=True)
class Failed:
    """It did not."""

    kind: FailureKind
    reason: str


class RegisterProgram:
    """Runs the program, one child at a time or more."""

    def __init__(
        self,
        python: str,
        folder: Path,
        configuration: Mapping[str, Any],
        deadline_seconds: float,
        program: Path = PROGRAM,
    ) -> None:
        """Prepare.

        Args:
            python: the interpreter that has the SDK.
            folder: for the files of children; whatever lies there is of children that died.
            configuration: what the SDK reads; it holds keys.
            deadline_seconds: how long a child may take.
            program: the file to run.
        """
        self._python = python
        self._folder = folder
        self._configuration = json.dumps(configuration).encode()
        self._deadline_seconds = deadline_seconds
        self._program = program
        shutil.rmtree(folder, ignore_errors=True)

    async def run(self, order: Mapping[str, Any]) -> Done | Failed:
        """Run one child with an order and return how it went."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            write_atomic(folder / "clearml.conf", self._configuration)
            return await self._run(folder, json.dumps(order).encode() + b"\n")
        except OSError as error:
            return Failed("missing", f"The program cannot be started: {error.strerror}.")
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _run(self, folder: Path, order: bytes) -> Done | Failed:
        process = await asyncio.create_subprocess_exec(
            *(self._python, "-I", "-B", str(self._program)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=child_environment(os.environ, folder),
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None
        said = b""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                process.stdin.write(order)  # and left open: its end is ours
                said = await _read(process.stdout)
        except TimeoutError:
            return Failed("away", f"ClearML took longer than {self._deadline_seconds:g} s.")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdin.close()
            await process.wait()
        return read_outcome(said)


def child_environment(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment of a child whose folder is this."""
    inherited = {name: environment[name] for name in _INHERITED if name in environment}
    return {
        **inherited,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "CLEARML_CONFIG_FILE": str(folder / "clearml.conf"),
        "CLEARML_CACHE_DIR": str(folder / "cache"),
    }


def read_outcome(said: bytes) -> Done | Failed:
    """Return what a child said, if it is in the shape that it must have."""
    broken = Failed("away", "The program that speaks with ClearML ended before it was done.")
    try:
        found: object = json.loads(said)
    except ValueError:
        return broken
    if not isinstance(found, dict):
        return broken
    outcome = cast("dict[str, object]", found)
    if "failure" in outcome:
        kind = _KINDS.get(str(outcome["failure"]))
        reason = str(outcome.get("reason"))
        return broken if kind is None or not _REASON.fullmatch(reason) else Failed(kind, reason)
    if "round" in outcome:
        found_round = _read_round(outcome["round"])
        return broken if found_round is None else Done(None, found_round)
    dataset = outcome.get("dataset", "")
    if dataset is None:
        return Done(None)
    return Done(str(dataset)) if _ID.fullmatch(str(dataset)) else broken


def _read_round(said: object) -> Round | None:
    if not isinstance(said, dict):
        return None
    known = cast("dict[str, object]", said)
    placed, refused, states = (_texts(known.get(n)) for n in ("placed", "refused", "states"))
    ended = known.get("ended")
    if placed is None or refused is None or states is None or not isinstance(ended, list):
        return None
    ids = [str(id) for id in cast("list[object]", ended)]
    if not all(map(_ID.fullmatch, [*placed.values(), *states.values(), *ids])):
        return None
    reasons = {ref: why for ref, why in refused.items() if _REASON.fullmatch(why)}
    return Round(placed, reasons, frozenset(ids), states)


def _texts(said: object) -> Mapping[str, str] | None:
    if not isinstance(said, dict):
        return None
    found = {str(name): str(text) for name, text in cast("dict[object, object]", said).items()}
    return found if all(map(_ID.fullmatch, found)) else None


async def _read(stream: asyncio.StreamReader) -> bytes:
    """Return what is said until the end, as far as it may go."""
    said = bytearray()
    while len(said) <= SAID_BYTES and (chunk := await stream.read(SAID_BYTES)):
        said += chunk
    return bytes(said)

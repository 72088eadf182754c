"""Where an agent keeps what on disk, and the little record beside each attempt.

    <state>/agent.json  agent.lock  status.json
    <state>/attempts/<attempt id>/attempt.json      who, fencing token, session, process
    <state>/attempts/<attempt id>/spec.json         what was ordered
    <state>/attempts/<attempt id>/worker.log        output of the worker; never leaves the host
    <state>/attempts/<attempt id>/work/             the worker's current folder
    <state>/adapters/<digest name>/                 fetched and newly trained adapters
    <state>/models/<slug>/                          converted models
    <state>/engines/<slug>/                         token, ready file and log of an engine or
                                                    embedder

Not here: what any of it means. Invariants:
- attempt.json is written atomically before the step that it records can be interrupted;
- it holds the session key of its attempt, hence mode 0600, and dies with the attempt.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.files import write_atomic
from adaptery.ids import is_id
from adaptery_network.agent import guard
from adaptery_network.agent.endings import Ending
from adaptery_network.agent.isolation import Account

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
#: Others may pass through it to what is theirs, and see nothing on the way.
_PASSAGE = 0o711
#: Of folders in folders; what a worker of ours makes is a fifth as deep.
DEPTH_LIMIT = 64
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_name(digest: str) -> str:
    """Return the folder and engine name of a digest (``sha256:ab…`` -> ``sha256-ab…``).

    Raises:
        InvalidInputError: the text is not a SHA-256 digest; it would become a path.
    """
    if not _DIGEST.fullmatch(digest):
        raise InvalidInputError("A digest must be 'sha256:' and 64 hexadecimal digits.")
    return digest.replace(":", "-")


def model_slug(name: str) -> str:
    """Return a folder name for a registered base model name such as ``org/Model-1``."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "--", name).strip(".-")
    if not slug:
        raise InvalidInputError("A base model name needs a letter or a digit.")
    return slug


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """What a restarted agent must know about an attempt it had taken."""

    attempt: str
    job: str
    fencing_token: int
    session_id: str
    session_key: str
    lease_seconds: float
    #: How it ended, once that is decided; the service may not have acknowledged it yet.
    ending: Ending | None = None

    def __repr__(self) -> str:
        return f"AttemptRecord(attempt={self.attempt!r}, job={self.job!r})"  # never the key


class AttemptFolder:
    """The folder of one attempt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / "work"
        self.log = path / "worker.log"
        self.spec = path / "spec.json"
        #: Until when the worker may run: see `guard.renew`.
        self.lease = path / "lease"
        #: The exit code of the worker, once it has ended.
        self.exit = path / "exit"
        self.job = self.work / "job.json"
        self.events = self.work / "events.jsonl"
        self.adapter = self.work / "adapter"
        self.checkpoints = self.work / "checkpoints"
        self.resume = self.work / "resume"

    def create(self, record: AttemptRecord, spec: bytes, owner: Account | None = None) -> None:
        """Make the folder and write its spec, for the worker too, and its record.

        The work folder is the `owner`'s, if the worker has an account of its own.
        """
        self.work.mkdir(parents=True, mode=_PRIVATE_FOLDER, exist_ok=True)
        self.path.chmod(_PASSAGE if owner else _PRIVATE_FOLDER)
        if owner is not None:
            os.chown(self.work, owner.user, owner.group)
        for path in (self.spec, self.job):
            write_atomic(path, spec, mode=_PRIVATE_FILE)
        write_atomic(self.exit, guard.NO_EXIT, mode=_PRIVATE_FILE)
        self.lease.touch(mode=_PRIVATE_FILE)
        guard.renew(self.lease, guard.boot_seconds())  # the first report renews it
        self.save(record)  # last: a folder with a record is complete

    def hand_over(self) -> Account | None:
        """Give all in the work folder to its owner; return who that is, if not the agent itself."""
        facts = self.work.stat()
        if facts.st_uid == os.geteuid():
            return None
        for path in self.work.rglob("*"):
            os.chown(path, facts.st_uid, facts.st_gid, follow_symlinks=False)
        return Account(facts.st_uid, facts.st_gid)

    def take_back(self) -> None:
        """Close a work folder that is kept to whoever has its owner's account next."""
        os.chown(self.work, os.geteuid(), os.getegid())

    def save(self, record: AttemptRecord) -> None:
        """Replace the record."""
        text = json.dumps(asdict(record))
        write_atomic(self.path / "attempt.json", text.encode(), mode=_PRIVATE_FILE)

    def record(self) -> AttemptRecord:
        """Read the record back.

        Raises:
            IntegrityError: the record is missing or not ours.
        """
        try:
            stored = json.loads((self.path / "attempt.json").read_text())
            ending = Ending(**stored["ending"]) if stored["ending"] else None
            return AttemptRecord(**{**stored, "ending": ending})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{self.path.name} has no readable attempt record.") from error

    def decide(self, ending: Ending) -> None:
        """Remember how the attempt ended, before anyone is told."""
        self.save(replace(self.record(), ending=ending))

    def remove(self) -> None:
        """Delete the folder; records of tenants do not outlive their attempt.

        The record goes last: an agent killed half-way finds the folder again and goes on.
        """
        _remove(self.work)
        _remove(self.path)


class AgentFolders:
    """The state folder of an agent."""

    def __init__(self, root: Path, models: Path | None = None, *, passable: bool = False) -> None:
        """Name the folders; `passable` for workers that have accounts of their own."""
        self._passage = _PASSAGE if passable else _PRIVATE_FOLDER
        self.root = root
        self.attempts = root / "attempts"
        self.adapters = root / "adapters"
        self.engines = root / "engines"
        self.models = models or root / "models"
        self.lock = root / "agent.lock"
        self.status = root / "status.json"

    def create(self) -> None:
        """Make what is missing; others of the host may read none of it."""
        for folder in (self.root, self.attempts, self.adapters, self.engines):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(_PRIVATE_FOLDER)
        for folder in (self.root, self.attempts):
            folder.chmod(self._passage)
        self.models.mkdir(parents=True, exist_ok=True)

    def attempt(self, attempt: str) -> AttemptFolder:
        """Return the folder of an attempt.

        Raises:
            InvalidInputError: the id is not one of an attempt; it would become a path.
        """
        if not is_id(attempt, "at"):
            raise InvalidInputError("An attempt is named by an id of the form at_….")
        return AttemptFolder(self.attempts / attempt)

    def left_attempts(self) -> Iterator[AttemptFolder]:
        """Yield the attempts that an earlier life of this agent left behind."""
        for path in sorted(self.attempts.iterdir()):
            if is_id(path.name, "at") and (path / "attempt.json").exists():
                yield AttemptFolder(path)
            elif path.is_dir():
                _remove(path)

    def engine(self, model: str) -> Path:
        """Return the private folder of the engine of a base model."""
        folder = self.engines / model_slug(model)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def folder_bytes(folder: Path) -> int:
    """Return how many bytes the files under a folder hold; files that vanish count nothing.

    Raises:
        IntegrityError: something in it cannot be counted, or lies too deep.
    """
    total = 0
    waiting = [(os.fspath(folder), 0)]
    while waiting:
        place, depth = waiting.pop()
        if depth > DEPTH_LIMIT:
            raise IntegrityError("It has folders in folders without end.")
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise IntegrityError("It has a folder that cannot be looked into.") from error
    return total


def _remove(folder: Path) -> None:
    """Delete a folder however deep: shutil needs a call and a descriptor for each level."""
    command = ("rm", "-rf", "--", str(folder))
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

"""The settings of one agent, kept in ``agent.json`` in its state folder.

Not here: keys, broker credentials and the agent card. Those are written by joining and read by
``adaptery_network.join``; a settings file may be shown to anyone.

Invariants:
- an unknown option stops the start, with its name;
- relative paths are relative to the state folder, so that a state folder can be moved.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.files import write_atomic

CONFIG_FILE = "agent.json"

#: 10 GiB hold about a thousand rank-8 adapters of a 135 M model; they can be fetched again.
DEFAULT_CACHE_LIMIT_BYTES = 10 * 1024**3


def _python(*words: str) -> tuple[str, ...]:
    # -P: the current folder is a work folder full of data; it must never be importable.
    return (sys.executable, "-P", "-m", *words)


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """What an operator decides about one agent."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # pyright: ignore[reportIncompatibleVariableOverride]

    state_dir: Path
    #: Replaces the address that joining stored, for a broker that has moved.
    broker_url: str | None = None
    #: A CA file to trust for the broker instead of the system's.
    tls_ca: Path | None = None
    #: Registered name -> source (folder, GGUF file or ``hf:org/name`` from the local cache).
    base_models: Mapping[str, str] = field(default_factory=dict)
    #: Registered name -> source of an embedding model (folder or ``hf:org/name``).
    embedding_models: Mapping[str, str] = field(default_factory=dict)
    #: Where converted models lie; several agents of one host may share it.
    models_dir: Path | None = None
    #: Jobs that run here at a time.
    worker_slots: int = 1
    #: CPU threads of each worker; None shares the cores out evenly between the slots.
    worker_threads: int | None = None
    #: CPU threads of each engine and each embedder; None uses every core.
    engine_threads: int | None = None
    #: ``start`` has the engines up before the first question, ``first_use`` saves their memory.
    engine_start: Literal["start", "first_use"] = "start"
    #: Adapters an engine is asked to hold at a time; the least recently used one is unloaded.
    resident_adapters: int = 32
    #: Bytes of fetched adapters kept on disk.
    cache_limit_bytes: int = DEFAULT_CACHE_LIMIT_BYTES
    #: How often the agent tells the service that it is well.
    heartbeat_seconds: float = 2.0
    #: What a worker gets between SIGTERM and SIGKILL to save a checkpoint.
    worker_grace_seconds: float = 10.0
    #: What a draining agent gets in all to stop workers and hand in their checkpoints; less than
    #: the 20 s after which the supervisor kills it.
    drain_seconds: float = 15.0
    #: Accounts of this host that workers run as, one for each slot; the agent has to be root's.
    worker_users: tuple[str, ...] = ()
    #: ``none`` takes the network from workers, which need none: what they learn from is on disk.
    worker_network: Literal["host", "none"] = "host"
    #: Keeps the work folders of failed attempts for an operator. They hold records of tenants.
    keep_failed_attempts: bool = False
    #: Starts a worker; the agent adds `--spec` and `--base-model`.
    worker_command: tuple[str, ...] = field(default_factory=lambda: _python("adaptery_training"))
    #: Starts an engine; options of the engine may be appended.
    engine_command: tuple[str, ...] = field(
        default_factory=lambda: _python("adaptery_inference", "serve")
    )
    #: Converts a base model; options of the conversion may be appended.
    convert_command: tuple[str, ...] = field(
        default_factory=lambda: _python("adaptery_inference", "convert")
    )
    #: Starts an embedder, at its first use; options of the embedder may be appended.
    embedder_command: tuple[str, ...] = field(
        default_factory=lambda: _python("adaptery_inference", "serve-embedder")
    )
    #: Converts an embedding model.
    convert_embedder_command: tuple[str, ...] = field(
        default_factory=lambda: _python("adaptery_inference", "convert-embedder")
    )

    def __post_init__(self) -> None:
        problems = [
            FieldProblem(where=name, reason="must be at least 1", remedy="give a positive number")
            for name in ("worker_slots", "worker_threads", "engine_threads", "resident_adapters")
            if (value := getattr(self, name)) is not None and value < 1
        ]
        problems += [
            FieldProblem(where=name, reason="names a base model too", remedy="give it another name")
            for name in self.embedding_models
            if name in self.base_models
        ]
        if problems:
            raise InvalidInputError(f"{CONFIG_FILE} has impossible values.", errors=problems)

    @property
    def models_folder(self) -> Path:
        """Where converted base models lie."""
        return self.state_dir / (self.models_dir or "models")

    @property
    def threads_per_worker(self) -> int:
        """CPU threads one worker may use."""
        return self.worker_threads or max(1, (os.cpu_count() or 1) // self.worker_slots)

    @property
    def threads_per_engine(self) -> int:
        """CPU threads one engine may use."""
        return self.engine_threads or (os.cpu_count() or 1)

    def save(self) -> None:
        """Write the settings that differ from the defaults to ``agent.json``, atomically."""
        defaults = AgentConfig(state_dir=self.state_dir)
        changed = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
            if name != "state_dir" and value != getattr(defaults, name)
        }
        text = json.dumps(changed, indent=2, default=list) + "\n"
        write_atomic(self.state_dir / CONFIG_FILE, text.encode(), mode=0o644)


_ADAPTER = TypeAdapter(AgentConfig)


def load_config(state_dir: Path, **overrides: object) -> AgentConfig:
    """Read ``agent.json`` of a state folder; a missing file means the defaults.

    Options that are None in ``overrides`` are left as the file says.

    Raises:
        InvalidInputError: the file is not JSON, or an option is unknown or of the wrong type.
    """
    path = state_dir / CONFIG_FILE
    try:
        stored = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise InvalidInputError(
            f"{path} is not valid JSON.", hint="Mend it or delete it to use the defaults."
        ) from error
    if not isinstance(stored, dict):
        raise InvalidInputError(f"{path} must hold one JSON object.")
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        config = _ADAPTER.validate_python({**stored, **given, "state_dir": state_dir})
    except ValidationError as error:
        raise InvalidInputError(
            f"{path} has options that are unknown or of the wrong type.",
            errors=[
                FieldProblem(
                    where=".".join(str(part) for part in problem["loc"]),
                    reason=problem["msg"],
                    remedy="see the reference page of the agent's settings",
                )
                for problem in error.errors(include_input=False, include_url=False)
            ],
        ) from None
    return replace(config, state_dir=state_dir.absolute())

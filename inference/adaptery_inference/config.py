"""What an operator can set: the options of the four commands.

Frozen data, made from the command line by ``arguments``. No secret is among it: the token comes
from a file. Reading this module imports no torch.
"""

import ipaddress
import json
from dataclasses import dataclass, field
from pathlib import Path

from adaptery.errors import InvalidInputError
from adaptery_inference.arguments import described

MIB = 1024 * 1024
DTYPES = ("auto", "float32", "bfloat16", "float16")
#: Tokens per KV block: small enough to waste little at the end of a row, large enough that a
#: gather copies pieces of kilobytes.
BLOCK_TOKENS = 16


@dataclass(frozen=True)
class ServeConfig:
    """Options of ``python -m adaptery_inference serve``."""

    model: Path = field(metadata=described("folder of a converted base model"))
    token_file: Path = field(
        metadata=described("file that holds the bearer token callers must send")
    )
    ready_file: Path | None = field(
        default=None, metadata=described("file to write {port, pid} to once serving")
    )
    host: str = field(default="127.0.0.1", metadata=described("loopback address to listen on"))
    port: int = field(default=0, metadata=described("port to listen on; 0 takes a free one"))
    threads: int | None = field(
        default=None, metadata=described("threads for tensor code; default: what torch finds")
    )
    device: str = field(default="cpu", metadata=described("torch device"))
    dtype: str = field(default="auto", metadata=described("auto, float32, bfloat16 or float16"))
    memory_mib: int = field(
        default=1024, metadata=described("MiB for adapters and KV cache together")
    )
    max_rows: int = field(default=32, metadata=described("sequences in one batch"))
    max_batch_tokens: int = field(default=256, metadata=described("prompt tokens in one step"))
    max_waiting: int = field(
        default=128, metadata=described("sequences that may wait; more are refused with 429")
    )
    max_context_tokens: int | None = field(
        default=None,
        metadata=described("longest prompt and answer together; default: what the model has"),
    )
    max_adapter_rank: int = field(
        default=256, metadata=described("largest LoRA rank that is taken")
    )
    drain_seconds: float = field(
        default=20.0, metadata=described("how long running answers may take after SIGTERM")
    )

    def __post_init__(self) -> None:
        """Check what types cannot say.

        Raises:
            InvalidInputError: an option is out of range.
        """
        for name in ("memory_mib", "max_rows", "max_batch_tokens", "max_waiting", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInputError(f"{name} must be at least 1.")
        if self.dtype not in DTYPES:
            raise InvalidInputError(f"dtype must be one of {', '.join(DTYPES)}.")
        if not _is_loopback(self.host):
            raise InvalidInputError(
                "The engine listens on a loopback address only; callers reach it through an agent."
            )


@dataclass(frozen=True)
class ConvertConfig:
    """Options of ``python -m adaptery_inference convert``."""

    source: str = field(
        metadata=described("folder, .gguf file, folder with one .gguf, or hf:org/name")
    )
    name: str = field(metadata=described("name of the base model, such as organisation/model"))
    out: Path = field(
        metadata=described("folder to write; must not exist, or hold this model already")
    )
    dtype: str = field(
        default="bfloat16",
        metadata=described("bfloat16, float16 or float32, for dequantised weights"),
    )

    def __post_init__(self) -> None:
        """Check what types cannot say.

        Raises:
            InvalidInputError: an option is out of range.
        """
        if self.dtype not in DTYPES[1:]:
            raise InvalidInputError(f"dtype must be one of {', '.join(DTYPES[1:])}.")


@dataclass(frozen=True)
class EmbedderConfig:
    """Options of ``python -m adaptery_inference serve-embedder``."""

    model: Path = field(metadata=described("folder of a converted embedding model"))
    token_file: Path = field(
        metadata=described("file that holds the bearer token callers must send")
    )
    ready_file: Path | None = field(
        default=None, metadata=described("file to write {port, pid} to once serving")
    )
    host: str = field(default="127.0.0.1", metadata=described("loopback address to listen on"))
    port: int = field(default=0, metadata=described("port to listen on; 0 takes a free one"))
    threads: int | None = field(
        default=None, metadata=described("threads for tensor code; default: what torch finds")
    )
    device: str = field(default="cpu", metadata=described("torch device"))
    #: Not "auto": vectors are kept, and must not depend on the processor that made them.
    dtype: str = field(default="float32", metadata=described("float32, bfloat16 or float16"))
    batch_tokens: int = field(
        default=8192, metadata=described("tokens in one forward pass, with padding")
    )
    drain_seconds: float = field(
        default=5.0, metadata=described("how long running answers may take after SIGTERM")
    )

    def __post_init__(self) -> None:
        """Check what types cannot say.

        Raises:
            InvalidInputError: an option is out of range.
        """
        for name in ("batch_tokens", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInputError(f"{name} must be at least 1.")
        if self.dtype not in DTYPES[1:]:
            raise InvalidInputError(f"dtype must be one of {', '.join(DTYPES[1:])}.")
        if not _is_loopback(self.host):
            raise InvalidInputError(
                "The embedder listens on a loopback address only; callers reach it through an "
                "agent."
            )


@dataclass(frozen=True)
class ConvertEmbedderConfig:
    """Options of ``python -m adaptery_inference convert-embedder``."""

    source: str = field(
        metadata=described("folder that sentence-transformers saved, or hf:org/name")
    )
    name: str = field(metadata=described("name of the embedding model, such as organisation/model"))
    out: Path = field(
        metadata=described("folder to write; must not exist, or hold this model already")
    )


def read_token(path: Path) -> str:
    """The bearer token in a file.

    Raises:
        InvalidInputError: the file cannot be read or is empty.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"The token file {path.name} cannot be read.") from error
    if not token:
        raise InvalidInputError(f"The token file {path.name} is empty.")
    return token


def ready_text(port: int, pid: int) -> bytes:
    """What the ready file says."""
    return json.dumps({"port": port, "pid": pid}).encode()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Makes the folder of a base model that engine and training read: the ``convert`` command.

A GGUF file is dequantised once; a folder of safetensors is copied as it is, so that its weight
digest stays. Nothing is downloaded. A folder appears whole or not at all, and two conversions to
the same folder do the work once.

The recipe for GGUF was measured: transformers 5 loads it but refuses to save
a model whose config still says "quantized with gguf".
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.base_models import (
    BaseModelInfo,
    locate,
    read_base_model,
    weight_digest,
    write_base_model,
)
from adaptery.errors import ConflictError, InvalidInputError, NotFoundError
from adaptery.files import rename_atomic
from adaptery_inference.config import ConvertConfig
from adaptery_inference.models.spec import read_model_spec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: What else than weights a base model folder may hold; pickles and code are left behind.
_COPIED_SUFFIXES = frozenset({".json", ".jinja", ".model", ".txt", ".safetensors"})
_READABLE = 0o644  # transformers writes 0600; a worker may run as another user than the converter


def convert(config: ConvertConfig) -> BaseModelInfo:
    """Convert a base model, unless that was done before.

    Raises:
        NotFoundError: the source is not on this machine.
        InvalidInputError: the source is no model of the Llama family.
        ConflictError: the folder holds something else.
    """
    out = config.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out.with_name(f".{out.name}.converting")):
        done = _already_converted(out, config.name)
        return done or _convert(config, out)


def _already_converted(out: Path, name: str) -> BaseModelInfo | None:
    if not out.exists():
        return None
    try:
        info = read_base_model(out)
    except NotFoundError:
        info = None
    if info is None or info.name != name:
        raise ConflictError(
            f"The folder {out.name} exists and is not the base model {name!r}.",
            hint="give another --out, or remove the folder",
        )
    return info


def _convert(config: ConvertConfig, out: Path) -> BaseModelInfo:
    source = locate(config.source)
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a conversion that was killed
    temporary.mkdir()
    try:
        if source.is_file():
            _dequantise(source, temporary, config.dtype)
        else:
            _copy(source, temporary)
        read_model_spec(temporary)  # refuse now what the engine would refuse at its start
        for path in temporary.iterdir():
            path.chmod(_READABLE)
        info = BaseModelInfo(
            name=config.name, weight_digest=weight_digest(temporary), source=config.source
        )
        write_base_model(temporary, info)
        rename_atomic(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return info


def _copy(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_file() and path.suffix in _COPIED_SUFFIXES:
            shutil.copyfile(path, target / path.name)
    if not (target / "tokenizer.json").exists():
        raise InvalidInputError(
            "The source has no tokenizer.json.", hint="save its tokenizer with transformers first"
        )


def _dequantise(source: Path, target: Path, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    loaded = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    )
    model = _without_quantisation(loaded).to(getattr(torch, dtype))
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _without_quantisation(loaded: "PreTrainedModel") -> "PreTrainedModel":
    """The same weights in a fresh model, whose config does not say that they are quantised."""
    fields = loaded.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        fields.pop(name, None)
    model = type(loaded)(type(loaded.config)(**fields))
    model.load_state_dict(loaded.state_dict(), strict=True)
    model.tie_weights()
    model.config.architectures = [type(model).__name__]
    model.generation_config = loaded.generation_config
    return model


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for, and hold, the lock of one output folder. The file stays: removing it would race."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""Makes the folder of a base model that engine and training read: the ``convert`` command.

A GGUF file is dequantised once; a folder of safetensors is copied as it is, so that its weight
digest stays. Nothing is downloaded. A folder appears whole or not at all, and two conversions to
the same folder do the work once.

The recipe for GGUF was measured: transformers 5 loads it but refuses to save
a model whose config still says "quantized with gguf".
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.base_models import (
    BaseModelInfo,
    locate,
    read_base_model,
    weight_digest,
    write_base_model,
)
from adaptery.errors import InvalidInputError
from adaptery_inference.config import ConvertConfig
from adaptery_inference.conversion import READABLE, convert_once
from adaptery_inference.models.spec import read_model_spec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: What else than weights a base model folder may hold; pickles and code are left behind.
_COPIED_SUFFIXES = frozenset({".json", ".jinja", ".model", ".txt", ".safetensors"})


def convert(config: ConvertConfig) -> BaseModelInfo:
    """Convert a base model, unless that was done before.

    Raises:
        NotFoundError: the source is not on this machine.
        InvalidInputError: the source is no model of the Llama family.
        ConflictError: the folder holds something else.
    """
    return convert_once(
        config.out, config.name, "base model", read_base_model, lambda folder: _fill(folder, config)
    )


def _fill(folder: Path, config: ConvertConfig) -> BaseModelInfo:
    source = locate(config.source)
    folder.mkdir()
    if source.is_file():
        _dequantise(source, folder, config.dtype)
    else:
        _copy(source, folder)
    read_model_spec(folder)  # refuse now what the engine would refuse at its start
    for path in folder.iterdir():
        path.chmod(READABLE)
    info = BaseModelInfo(
        name=config.name, weight_digest=weight_digest(folder), source=config.source
    )
    write_base_model(folder, info)
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

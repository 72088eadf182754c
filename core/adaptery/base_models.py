"""Base models: where the weights of one are, and the digest that adapters are bound to.

For: resolving the source that a setting names, and reading what a conversion wrote. Not for
converting (`adaptery_inference`) and never for downloading: what is not on this machine is an error
that says how to get it.

What always holds: the weight digest depends on names, types, shapes and bytes of the tensors, and
not on how they are split into files, on their metadata, or on the configuration beside them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from adaptery.canonical import canonical_json
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.files import write_atomic
from adaptery.schemas.common import DigestText, Model, parse_json
from adaptery.tensor_files import hash_tensors, tensors_digest

__all__ = [
    "BASE_MODEL_NAME",
    "DESCRIPTION_FILES",
    "PIECE_BYTES",
    "BaseModelInfo",
    "locate",
    "read_base_model",
    "weight_digest",
    "write_base_model",
]

#: The file beside converted weights that says what they are.
BASE_MODEL_NAME = "base_model.json"
#: The files that describe a base model beside its weights, with the most bytes each may have: what
#: the service needs to count tokens and foresee memory. The largest published tokenizers, of
#: 256,000 tokens, take 35 MB.
DESCRIPTION_FILES: Mapping[str, int] = {
    "config.json": 1024 * 1024,
    "generation_config.json": 1024 * 1024,
    "tokenizer.json": 64 * 1024 * 1024,
    "tokenizer_config.json": 4 * 1024 * 1024,
    "special_tokens_map.json": 1024 * 1024,
    "chat_template.jinja": 1024 * 1024,
}
#: What an agent hands over of such a file at a time; the broker carries 1 MiB, and base64 adds a
#: third.
PIECE_BYTES = 256 * 1024
_HUB = re.compile(r"hf:([A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96})(?:@([\w.-]{1,100}))?", re.ASCII)
_READABLE = 0o644


class BaseModelInfo(Model):
    """What `base_model.json` says."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    weight_digest: DigestText
    source: str


def weight_digest(folder: Path) -> str:
    """Return the digest of all safetensors files of a folder.

    Raises:
        InvalidInputError: if there are none, or one is not sound.
        OSError: if one cannot be read.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InvalidInputError("The folder holds no safetensors files.")
    return tensors_digest(entry for path in files for entry in hash_tensors(path))


def read_base_model(folder: Path) -> BaseModelInfo:
    """Return what the folder of a converted base model says it is; the weights are not read.

    Raises:
        NotFoundError: if the folder holds no converted base model.
        InvalidInputError: if its `base_model.json` is not valid.
    """
    try:
        data = (folder / BASE_MODEL_NAME).read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            "The folder holds no converted base model.",
            hint="convert one: python -m adaptery_inference convert",
        ) from None
    return parse_json(BaseModelInfo, data)


def write_base_model(folder: Path, info: BaseModelInfo) -> None:
    """Write `base_model.json`, the last step of a conversion.

    Raises:
        OSError: if it cannot be written.
    """
    write_atomic(folder / BASE_MODEL_NAME, canonical_json(info.model_dump()), mode=_READABLE)


def _hub_cache() -> Path:
    # Source: huggingface_hub, "Manage the cache" and "Environment variables".
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface"
    )
    return Path(home).expanduser() / "hub"


def _in_hub_cache(repository: str, revision: str) -> Path:
    folder = _hub_cache() / f"models--{repository.replace('/', '--')}"
    reference = folder / "refs" / revision
    commit = reference.read_text("ascii").strip() if reference.is_file() else revision
    snapshot = folder / "snapshots" / commit
    if "/" in commit or commit.startswith(".") or not snapshot.is_dir():
        raise NotFoundError(
            "This base model is not in the local Hugging Face cache; nothing is downloaded here.",
            hint=f"hf download {repository} on a machine with internet, then copy the cache",
        )
    return snapshot


def locate(source: str) -> Path:
    """Return the folder of safetensors, or the GGUF file, that a source names.

    Args:
        source: a folder, a `.gguf` file, a folder that holds one `.gguf` file, or
            `hf:org/name[@revision]` for a model in the local Hugging Face cache.

    Raises:
        NotFoundError: if it is not on this machine.
        InvalidInputError: if it is there but is no model, or more than one.
    """
    if source.startswith("hf:"):
        match = _HUB.fullmatch(source)
        if match is None:
            raise InvalidInputError("Write a Hugging Face model as hf:org/name.")
        return _model_in(_in_hub_cache(match[1], match[2] or "main"))
    path = Path(source).expanduser()
    if path.is_dir():
        return _model_in(path)
    if not path.is_file():
        raise NotFoundError("The source of the base model does not exist.", hint="check the path")
    if path.suffix.lower() != ".gguf":
        raise InvalidInputError("A base model is a folder of safetensors or a .gguf file.")
    return path


def _model_in(folder: Path) -> Path:
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        return folder
    found = sorted(folder.glob("*.gguf"))
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInputError(
            "The folder holds several GGUF files.", hint="name one of them instead"
        )
    raise InvalidInputError(
        "The folder holds no model.", hint="it needs config.json and safetensors, or one .gguf file"
    )

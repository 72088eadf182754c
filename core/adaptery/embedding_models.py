"""Embedding models: where the files of one are, and the digest that its vectors are bound to.

An embedding model is a folder as sentence-transformers saves it. For: resolving the source that a
setting names, and reading what a conversion wrote. Not for loading one (`adaptery_inference`) and
never for downloading.

What always holds: the digest covers every file that decides a vector (weights, tokenizer, the
modules and their settings, the longest text that is read), so equal digests give equal vectors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field

from adaptery.base_models import locate
from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes, sha256_file
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.files import is_plain_relative, write_atomic
from adaptery.schemas.common import DigestText, Model, parse_json

__all__ = [
    "DIMENSIONS_LIMIT",
    "EMBEDDING_MODEL_NAME",
    "EmbeddingModelInfo",
    "embedding_digest",
    "embedding_files",
    "locate_embedding_model",
    "read_embedding_model",
    "write_embedding_model",
]

#: The file beside an embedding model that says what it is; the last that a conversion writes.
EMBEDDING_MODEL_NAME = "embedding_model.json"
#: Numbers in one vector; the largest models that are in use have 8,192.
DIMENSIONS_LIMIT = 16_384
TOKENS_LIMIT = 1_048_576

#: Lists the modules of a model. Source: sentence-transformers, "Creating custom models".
_MODULES = "modules.json"
#: Weights, tokenizers and settings; pickles and code are left behind.
_SUFFIXES = frozenset({".json", ".model", ".safetensors", ".txt"})
#: The modules that embed text. Others could be any class that a name leads to.
_KINDS = frozenset({"Dense", "Normalize", "Pooling", "Transformer"})
_LIBRARY = "sentence_transformers."
_READABLE = 0o644


class EmbeddingModelInfo(Model):
    """What `embedding_model.json` says."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    weight_digest: DigestText
    source: str
    #: Numbers in one vector.
    dimensions: int = Field(ge=1, le=DIMENSIONS_LIMIT)
    #: Of a longer text only so many tokens are read.
    max_tokens: int = Field(ge=1, le=TOKENS_LIMIT)


def locate_embedding_model(source: str) -> Path:
    """Return the folder that a source names: a folder, or `hf:org/name` in the local cache.

    Raises:
        NotFoundError: it is not on this machine.
        InvalidInputError: it is there but is no embedding model.
    """
    folder = locate(source) if source.startswith("hf:") else Path(source).expanduser()
    if not folder.is_dir():
        raise NotFoundError("The source of the embedding model does not exist.", hint="a folder")
    if not (folder / _MODULES).is_file():
        raise InvalidInputError(
            f"The folder holds no embedding model: it has no {_MODULES}.",
            hint="save one with SentenceTransformer(...).save_pretrained(folder)",
        )
    return folder


def embedding_files(folder: Path) -> list[str]:
    """Return the files of a model that count, as paths below its folder.

    Raises:
        InvalidInputError: its list of modules is not one, or names a module that is not known.
    """
    places = sorted({"", *_module_paths(folder)})
    return sorted(
        path.relative_to(folder).as_posix()
        for place in places
        if (folder / place).is_dir()  # a module without settings may have no folder
        for path in (folder / place).iterdir()
        if path.is_file() and path.suffix in _SUFFIXES and path.name != EMBEDDING_MODEL_NAME
    )


def embedding_digest(folder: Path) -> str:
    """Return the digest of all files of a model that count.

    Raises:
        InvalidInputError: there are no weights among them, or the modules are not known.
        OSError: one cannot be read.
    """
    names = embedding_files(folder)
    if not any(name.endswith(".safetensors") for name in names):
        raise InvalidInputError(
            "The embedding model has no safetensors files.",
            hint="save it again; pickles are unsafe",
        )
    digests = {name: sha256_file(folder / name) for name in names}
    return sha256_bytes(canonical_json(digests))


def read_embedding_model(folder: Path) -> EmbeddingModelInfo:
    """Return what the folder of a converted embedding model says it is.

    Raises:
        NotFoundError: the folder holds no converted embedding model.
        InvalidInputError: its `embedding_model.json` is not valid.
    """
    try:
        data = (folder / EMBEDDING_MODEL_NAME).read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            "The folder holds no converted embedding model.",
            hint="convert one: python -m adaptery_inference convert-embedder",
        ) from None
    return parse_json(EmbeddingModelInfo, data)


def write_embedding_model(folder: Path, info: EmbeddingModelInfo) -> None:
    """Write `embedding_model.json`, the last step of a conversion.

    Raises:
        OSError: it cannot be written.
    """
    write_atomic(folder / EMBEDDING_MODEL_NAME, canonical_json(info.model_dump()), mode=_READABLE)


def _module_paths(folder: Path) -> Iterator[str]:
    try:
        modules: object = json.loads((folder / _MODULES).read_text("utf-8"))
    except (OSError, ValueError):
        modules = None
    if not isinstance(modules, list):
        raise InvalidInputError(f"{_MODULES} is not a list of modules.")
    for module in cast("list[object]", modules):
        fields: Mapping[str, object] = (
            cast("dict[str, object]", module) if isinstance(module, dict) else {}
        )
        kind, path = str(fields.get("type", "")), str(fields.get("path", ""))
        if not kind.startswith(_LIBRARY) or kind.rpartition(".")[2] not in _KINDS:
            raise InvalidInputError(
                f"{_MODULES} names a module that is not offered.",
                hint=f"offered: {', '.join(sorted(_KINDS))}",
            )
        if path and not is_plain_relative(path):
            raise InvalidInputError(f"{_MODULES} names a path outside of its folder.")
        yield path

"""Makes the folder of an embedding model that the embedder reads: the ``convert-embedder`` command.

The files that count are copied, so that the model stays what it is, and are loaded once to see that
they work. Nothing is downloaded. A folder appears whole or not at all, and two conversions to the
same folder do the work once.
"""

import shutil
from pathlib import Path

from adaptery.embedding_models import (
    EmbeddingModelInfo,
    embedding_digest,
    embedding_files,
    locate_embedding_model,
    read_embedding_model,
    write_embedding_model,
)
from adaptery.errors import ConflictError, InvalidInputError, NotFoundError
from adaptery.files import rename_atomic
from adaptery_inference.config import ConvertEmbedderConfig
from adaptery_inference.convert import locked
from adaptery_inference.embedder.model import EmbeddingModel

_READABLE = 0o644


def convert_embedder(config: ConvertEmbedderConfig) -> EmbeddingModelInfo:
    """Convert an embedding model, unless that was done before.

    Raises:
        NotFoundError: the source is not on this machine.
        InvalidInputError: the source is no embedding model that can be used.
        MissingExtraError: sentence-transformers is not installed.
        ConflictError: the folder holds something else.
    """
    out = config.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out.with_name(f".{out.name}.converting")):
        return _already_converted(out, config.name) or _convert(config, out)


def _already_converted(out: Path, name: str) -> EmbeddingModelInfo | None:
    if not out.exists():
        return None
    try:
        info = read_embedding_model(out)
    except NotFoundError:
        info = None
    if info is None or info.name != name:
        raise ConflictError(
            f"The folder {out.name} exists and is not the embedding model {name!r}.",
            hint="give another --out, or remove the folder",
        )
    return info


def _convert(config: ConvertEmbedderConfig, out: Path) -> EmbeddingModelInfo:
    source = locate_embedding_model(config.source)
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a conversion that was killed
    try:
        for name in embedding_files(source):
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
            target.chmod(_READABLE)
        info = _examine(temporary, config)
        write_embedding_model(temporary, info)
        rename_atomic(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return info


def _examine(folder: Path, config: ConvertEmbedderConfig) -> EmbeddingModelInfo:
    digest = embedding_digest(folder)
    model = EmbeddingModel.load(folder)
    if model.encode(["one text"]).shape != (1, model.dimensions):
        raise InvalidInputError("The embedding model makes vectors of another length than it says.")
    return EmbeddingModelInfo(
        name=config.name,
        weight_digest=digest,
        source=config.source,
        dimensions=model.dimensions,
        max_tokens=model.max_tokens,
    )

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
from adaptery.errors import InvalidInputError
from adaptery_inference.config import ConvertEmbedderConfig
from adaptery_inference.conversion import READABLE, convert_once
from adaptery_inference.embedder.model import EmbeddingModel


def convert_embedder(config: ConvertEmbedderConfig) -> EmbeddingModelInfo:
    """Convert an embedding model, unless that was done before.

    Raises:
        NotFoundError: the source is not on this machine.
        InvalidInputError: the source is no embedding model that can be used.
        MissingExtraError: sentence-transformers is not installed.
        ConflictError: the folder holds something else.
    """
    return convert_once(
        config.out,
        config.name,
        "embedding model",
        read_embedding_model,
        lambda folder: _fill(folder, config),
    )


def _fill(folder: Path, config: ConvertEmbedderConfig) -> EmbeddingModelInfo:
    source = locate_embedding_model(config.source)
    for name in embedding_files(source):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
        target.chmod(READABLE)
    info = _examine(folder, config)
    write_embedding_model(folder, info)
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

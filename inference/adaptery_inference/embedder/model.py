"""sentence-transformers, as far as it is needed: lengths and vectors of texts.

Not here: batching, and anything asynchronous. Nothing is downloaded, no code of a model folder
runs, and no pickle is read (`adaptery.embedding_models` lets only known modules pass).
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adaptery.embedding_models import embedding_digest
from adaptery.errors import InvalidInputError, MissingExtraError
from adaptery_inference.errors import BrokenNumbersError

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedTokenizerBase


class EmbeddingModel:
    """A loaded embedding model."""

    def __init__(self, loaded: "SentenceTransformer") -> None:
        """Take a loaded model.

        Raises:
            InvalidInputError: it does not say how long its vectors are, or how much it reads.
        """
        dimensions, max_tokens = loaded.get_embedding_dimension(), loaded.max_seq_length
        if not dimensions or not max_tokens:
            raise InvalidInputError(
                "The embedding model does not say how long its vectors are, or what it reads.",
                hint="set max_seq_length in its sentence_bert_config.json",
            )
        self.dimensions = int(dimensions)
        self.max_tokens = int(max_tokens)
        self._loaded = loaded
        self._tokenizer = cast("PreTrainedTokenizerBase", loaded.tokenizer)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", dtype: str = "float32") -> "EmbeddingModel":
        """Load the model in a folder.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            InvalidInputError: the folder holds no model that can be used.
        """
        embedding_digest(folder)  # refuses modules that are not known, before any is imported
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError(
                "Embeddings need sentence-transformers.", hint="pip install 'adaptery[embeddings]'"
            ) from error
        logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
        loaded = SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": getattr(torch, dtype), "use_safetensors": True},
        )
        return cls(loaded)

    def lengths(self, texts: Sequence[str]) -> tuple[list[int], int]:
        """How many tokens of each text are read, and how many texts are longer than that."""
        # One token more than is read shows whether there are more.
        ids = self._tokenizer(
            list(texts), truncation=True, max_length=self.max_tokens + 1, verbose=False
        )["input_ids"]
        counts = [len(row) for row in cast("list[list[int]]", ids)]
        return (
            [min(count, self.max_tokens) for count in counts],
            sum(count > self.max_tokens for count in counts),
        )

    def encode(self, texts: Sequence[str]) -> "np.ndarray":
        """The vectors of some texts, in one forward pass: ``[texts, dimensions]``, float32.

        Raises:
            BrokenNumbersError: what the model computes is not finite.
        """
        import numpy as np

        vectors = self._loaded.encode(
            list(texts), batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True
        )
        vectors = np.ascontiguousarray(vectors, dtype="<f4")
        if not np.isfinite(vectors).all():
            raise BrokenNumbersError("The embedding model computes numbers that are not finite.")
        return vectors

"""Vectors of texts: any number of them, asked in as many requests as it takes."""

from __future__ import annotations

import base64
import binascii
import json
import sys
import warnings
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import cast, overload

from adaptery.client.connection import ANSWER_SECONDS, Connection
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.schemas.embeddings import text_problems

__all__ = ["Embeddings", "embed"]

EMBEDDINGS_PATH = "v1/embeddings"
#: Of texts in one request; the service takes 2,048 and 4 MiB, but a slow and busy machine should
#: not need minutes for an answer.
REQUEST_TEXTS = 512
REQUEST_BYTES = 2 * 1024 * 1024
#: The service's word for texts of which the model has read the beginning only.
TRUNCATED_HEADER = "x-adaptery-truncated-texts"
_NUMBER_BYTES = 4  # float32


class Embeddings(Sequence["array[float]"]):
    """One vector for each text, in the order of the texts.

    `numpy.asarray(embeddings)` is an array of shape (texts, dimensions), float32.
    """

    def __init__(self) -> None:
        self._vectors: list[array[float]] = []
        #: What made the vectors.
        self.model = ""
        #: How many tokens were read.
        self.prompt_tokens = 0
        #: How many texts are longer than what the model reads.
        self.truncated_texts = 0

    def __repr__(self) -> str:
        return f"<{len(self)} vectors of {self.dimensions} numbers, made by {self.model}>"

    def __len__(self) -> int:
        return len(self._vectors)

    @overload
    def __getitem__(self, index: int) -> array[float]: ...

    @overload
    def __getitem__(self, index: slice) -> list[array[float]]: ...

    def __getitem__(self, index: int | slice) -> array[float] | list[array[float]]:
        return self._vectors[index]

    @property
    def dimensions(self) -> int:
        """Numbers in one vector."""
        return len(self._vectors[0]) if self._vectors else 0

    def to_lists(self) -> list[list[float]]:
        """Return the vectors as lists of numbers, as vector stores take them."""
        return [vector.tolist() for vector in self._vectors]

    def add(self, answer: Mapping[str, object], texts: int, truncated: int) -> None:
        """Take in an answer of the service to so many texts.

        Raises:
            IntegrityError: it is not one whole vector for each text.
        """
        data = answer.get("data")
        entries = cast("list[object]", data) if isinstance(data, list) else []
        vectors = [_vector(entry, place) for place, entry in enumerate(entries)]
        length = self.dimensions or (len(vectors[0]) if vectors else 0)
        if len(vectors) != texts or any(len(vector) != length for vector in vectors):
            raise _not_whole()
        self._vectors += vectors
        self.model = str(answer.get("model", ""))
        usage = cast("Mapping[str, object]", answer.get("usage") or {})
        tokens = usage.get("prompt_tokens")
        self.prompt_tokens += tokens if isinstance(tokens, int) else 0
        self.truncated_texts += truncated


def embed(connection: Connection, texts: Sequence[str], model: str) -> Embeddings:
    """Return one vector for each text.

    Raises:
        InvalidInputError: a text is none, is empty or too long; it is named by its place.
        AdapteryError: what the service raised.
    """
    wanted = [texts] if isinstance(texts, str) else list(texts)
    if problems := text_problems(wanted):
        raise InvalidInputError(errors=problems)
    made = Embeddings()
    for part in _parts(wanted):
        body = {"model": model, "input": part, "encoding_format": "base64"}
        response = connection.send("POST", EMBEDDINGS_PATH, json=body, read_seconds=ANSWER_SECONDS)
        truncated = response.headers.get(TRUNCATED_HEADER, "")
        count = int(truncated) if truncated.isdecimal() else 0
        made.add(cast("dict[str, object]", response.json()), len(part), count)
    if made.truncated_texts:
        warnings.warn(
            f"{made.truncated_texts} of {len(made)} texts are longer than what {made.model} reads: "
            "their vectors stand for the beginning. Split them to have all of it.",
            stacklevel=3,
        )
    return made


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in parts that fit into one request."""
    start = size_bytes = 0
    for place, text in enumerate(texts):
        more_bytes = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
        full = place - start >= REQUEST_TEXTS or size_bytes + more_bytes > REQUEST_BYTES
        if full and place > start:
            yield list(texts[start:place])
            start, size_bytes = place, 0
        size_bytes += more_bytes
    if start < len(texts):
        yield list(texts[start:])


def _vector(entry: object, place: int) -> array[float]:
    fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {}
    text = fields.get("embedding")
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except binascii.Error:
        raw = b""
    if not raw or len(raw) % _NUMBER_BYTES or fields.get("index") != place:
        raise _not_whole()
    vector = array("f", raw)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def _not_whole() -> IntegrityError:
    return IntegrityError("The service's answer is not one whole vector for each text.")

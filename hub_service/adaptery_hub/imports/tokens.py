"""What counts as a token where a text is cut into chunks of them.

It is the tokenizer of a registered base model, the default one before others, if an agent handed it
over or its files lie on this machine. Else a token is a word, and the file says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptery.base_models import locate
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.formats.texts import Tokenize
from adaptery.schemas.mappings import Mapping as FileMapping
from adaptery_hub.base_model_files import BaseModelFiles

TOKENIZER_FILE = "tokenizer.json"
#: Bytes that were no UTF-8; the tokenizer takes whole characters only.
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class TokenizerSource:
    """The tokenizer of a base model."""

    model: str
    path: Path

    def load(self) -> Tokenize:
        """Return a function that says where the tokens of a text are."""
        from tokenizers import Tokenizer  # late: only a child process needs it

        tokenizer = Tokenizer.from_file(str(self.path))

        def spans(text: str) -> list[tuple[int, int]]:
            encoded = tokenizer.encode(_SURROGATE.sub("\ufffd", text), add_special_tokens=False)
            return [(first, end) for first, end in encoded.offsets if end > first]

        return spans


class Tokenizers:
    """The tokenizers of the registered base models."""

    def __init__(self, sources: Mapping[str, str], default: str, files: BaseModelFiles) -> None:
        """Take where they come from.

        Args:
            sources: by the name of a base model, where it comes from.
            default: the one that is asked first.
            files: what agents handed over.
        """
        self._sources = dict(sources)
        self._default = default
        self._files = files

    def first(self) -> TokenizerSource | None:
        """Return the first one that is here. Blocking."""
        models = sorted(self._sources, key=lambda name: name != self._default)
        return next((found for model in models if (found := self.of(model))), None)

    def of(self, model: str) -> TokenizerSource | None:
        """Return that of one base model: as an agent handed it over, else on this machine."""
        folder = self._files.find_named(model)
        if folder is None:
            try:
                folder = locate(self._sources[model])
            except (NotFoundError, InvalidInputError):
                return None
        path = folder / TOKENIZER_FILE
        return TokenizerSource(model, path) if path.is_file() else None


def cuts_by_tokens(mapping: FileMapping | None) -> bool:
    """Say whether a mapping asks for tokens."""
    if mapping is None:
        return False
    parts = (mapping, *mapping.parts)
    return any(part.chunks is not None and part.chunks.by == "tokens" for part in parts)

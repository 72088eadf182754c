"""What counts as a token where a text is cut into chunks of them.

It is the tokenizer of a registered base model, the default one before others, if its files lie on
this machine; nothing is fetched. Else a token is a word, and the file says so.
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


def find_tokenizer(sources: Mapping[str, str], default: str) -> TokenizerSource | None:
    """Return the tokenizer of the first base model that has one on this machine. Blocking.

    Args:
        sources: by the name of a base model, where it comes from.
        default: the one that is asked first.
    """
    for model in sorted(sources, key=lambda name: name != default):
        try:
            path = locate(sources[model]) / TOKENIZER_FILE
        except (NotFoundError, InvalidInputError):
            continue
        if path.is_file():
            return TokenizerSource(model, path)
    return None


def cuts_by_tokens(mapping: FileMapping | None) -> bool:
    """Say whether a mapping asks for tokens."""
    if mapping is None:
        return False
    parts = (mapping, *mapping.parts)
    return any(part.chunks is not None and part.chunks.by == "tokens" for part in parts)

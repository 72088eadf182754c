"""A model, tokenizer, adapters and records small enough to build in a test. No downloads.

* ``build_tiny_model(folder)``: a 2-layer model with fixed random weights and a byte-level
  tokenizer with a ChatML template;
* ``build_tiny_adapter(folder, base, rank, seed)``: a PEFT folder whose weights change the answers;
* ``write_tiny_gguf(path, base)``: the same model, quantised, in one GGUF file;
* ``build_tiny_embedder(folder)``: an embedding model, as sentence-transformers saves it;
* ``tiny_records()``: 20 chat records in the canonical record form.

The same seed gives the same bytes. Importing this package imports no torch.
"""

from tiny.adapters import ALL_TARGETS, build_tiny_adapter
from tiny.embedders import build_tiny_embedder
from tiny.gguf_files import write_tiny_gguf
from tiny.models import FAMILIES, build_tiny_model
from tiny.records import tiny_records

__all__ = [
    "ALL_TARGETS",
    "FAMILIES",
    "build_tiny_adapter",
    "build_tiny_embedder",
    "build_tiny_model",
    "tiny_records",
    "write_tiny_gguf",
]

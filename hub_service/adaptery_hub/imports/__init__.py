"""Imports: a file that was received becomes records of a draft, all of them at once.

How it is read is a `Mapping`; what cannot be read is listed beside the file, and refuses it or is
left out, as the caller wants. Rights are checked by the caller.

Invariants:

- The records of a file enter the draft in one transaction. A kill at any moment leaves all of them
  and a row `ready`, or none and the file as it was received.
- A file that could harm its reader is read in a process of its own: any but a small one of text.
- No error and no list of problems holds content.
"""

from adaptery_hub.imports.descriptions import describe_file
from adaptery_hub.imports.imports import ImportPlan, Imports
from adaptery_hub.imports.problems import (
    PROBLEMS_LIMIT,
    ProblemWriter,
    csv_lines,
    read_problems,
)
from adaptery_hub.imports.tokens import Tokenizers

__all__ = [
    "PROBLEMS_LIMIT",
    "ImportPlan",
    "Imports",
    "ProblemWriter",
    "Tokenizers",
    "csv_lines",
    "describe_file",
    "read_problems",
]

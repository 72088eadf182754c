"""Curation of a draft in steps that take long: many edits at once, collations, splits, leaks.

`steps` run in a process of their own and are all or nothing; `CurationWork` makes an operation of
one. How records are drawn and split is decided in pure functions (`drawing`, `splitting`).
"""

from adaptery_hub.curation.collating import Source, collate
from adaptery_hub.curation.leaking import find_leaks, keep_leaks
from adaptery_hub.curation.origins import DRAFT_ONLY, Origin
from adaptery_hub.curation.steps import Outcome, Target, bulk_edit, redo_edit, split, undo_edit
from adaptery_hub.curation.work import CurationWork, Run

__all__ = [
    "DRAFT_ONLY",
    "CurationWork",
    "Origin",
    "Outcome",
    "Run",
    "Source",
    "Target",
    "bulk_edit",
    "collate",
    "find_leaks",
    "keep_leaks",
    "redo_edit",
    "split",
    "undo_edit",
]

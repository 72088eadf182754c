"""Drafts: the mutable workspace of a dataset, one SQLite file each.

A draft holds the records in their order, a log of edits and a full-text index. It knows nothing of
tenants, rights or versions; callers have checked those.

Invariants:

- A record in a draft is valid and canonical: it passed `Record.from_dict`, `record_id` is its id.
- A position is never given twice, so it names a record for as long as the draft lives.
- Each call of `Drafts.write` is one transaction; writes to one draft take turns.
- Every change by people is in the log, with what was there before, until it is forgotten.
- A draft file exists exactly as long as its dataset; nothing but `create` makes one.
- What a user deletes with a file is gone: from the records, the index and the log.
"""

from adaptery_hub.drafts.changes import BatchResult, RecordEdit, Undone
from adaptery_hub.drafts.draft import COLUMNS, Column, Draft
from adaptery_hub.drafts.edits import DraftEdit
from adaptery_hub.drafts.holding import Hold
from adaptery_hub.drafts.leaks import LeakPair, Leaks
from adaptery_hub.drafts.pool import Drafts, in_memory, opened
from adaptery_hub.drafts.query import ORDERS, RecordQuery, flag_bits, flag_names
from adaptery_hub.drafts.records import DraftRecord
from adaptery_hub.drafts.sources import DraftSource

__all__ = [
    "COLUMNS",
    "ORDERS",
    "BatchResult",
    "Column",
    "Draft",
    "DraftEdit",
    "DraftRecord",
    "DraftSource",
    "Drafts",
    "Hold",
    "LeakPair",
    "Leaks",
    "RecordEdit",
    "RecordQuery",
    "Undone",
    "flag_bits",
    "flag_names",
    "in_memory",
    "opened",
]

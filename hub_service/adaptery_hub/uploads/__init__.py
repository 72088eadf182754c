"""Uploads: bytes arrive in a file beside the draft, and are kept as they came.

What becomes of them is the business of `adaptery_hub.imports`. Rights are checked by the caller.

Invariants:

- A file is never whole in memory; writes happen in a thread, and the sender waits for them.
- An upload that fails (too large, cut off without `Content-Range`) leaves no bytes and no row. One
  cut off with `Content-Range` leaves its bytes until it is resumed or `upload_keep_hours` have
  passed.
- At most one request at a time receives a given file.
- A file that came whole is kept until it is removed; its row names it before it gets its place, so
  what no row names was left by a kill, and goes.
"""

from adaptery_hub.full_disk import DiskFullError, is_full
from adaptery_hub.uploads.originals import Originals
from adaptery_hub.uploads.receiver import ByteRange, OffsetError, Receiver
from adaptery_hub.uploads.uploads import Uploads

__all__ = [
    "ByteRange",
    "DiskFullError",
    "OffsetError",
    "Originals",
    "Receiver",
    "Uploads",
    "is_full",
]

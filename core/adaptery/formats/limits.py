"""Limits of uploads. Each is far above honest data and far below what would hurt the service."""

from typing import Final

__all__ = ["RECORDS_LIMIT", "RECORD_LIMIT_BYTES", "SNIFF_BYTES"]

#: Bytes of one record as it stands in the file. A book of 1 MiB has about 250,000 tokens, more than
#: any base model here reads at once.
RECORD_LIMIT_BYTES: Final = 1024 * 1024
#: Records in one file.
RECORDS_LIMIT: Final = 1_000_000
#: Bytes at the start of a file that decide whether it is text at all.
SNIFF_BYTES: Final = 8 * 1024
